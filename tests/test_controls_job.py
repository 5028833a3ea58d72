"""The job of the controls as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMALL = [
    "data={name: digits, per_class: 12}",
    "seeds=[0]",
    "attack.steps=3",
    "train.epochs=2",
    "robust.epochs=2",
    "base=10",
    "bugs={source: mlp, student: mlp, ensemble: [linear], attack: {steps: 3}, train: {epochs: 2}}",
    "curve={eps: [0.3], expected_at: 0.3}",
]


def job(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "jobs/controls.py", "--site", "configs/site/inline.yaml", *arguments]
    environment = {**os.environ, "RAYLAB_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_a_run_leaves_a_table_and_a_page_and_a_second_one_computes_nothing(tmp_path: Path) -> None:
    first = job(tmp_path, *SMALL)
    assert first.returncode == 0, first.stderr
    assert "leakage only, rand" in first.stdout
    written = (tmp_path / "reports" / "controls.html").read_bytes()
    again = job(tmp_path, *SMALL)
    assert "nothing to build" in again.stderr
    assert again.stdout == first.stdout
    assert (tmp_path / "reports" / "controls.html").read_bytes() == written


def test_bad_input_ends_before_compute(tmp_path: Path) -> None:
    bad = job(tmp_path, *SMALL, "robust.adversary=null")
    assert bad.returncode == 2
    assert "robust.adversary: the robust source needs one" in bad.stderr
    assert not (tmp_path / "store").exists()
