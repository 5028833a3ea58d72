"""The jobs that have no file of their own here, as people run them: small, in one process, twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children import assert_told_apart, study

ROOT = Path(__file__).parent.parent
# By job: settings that make it small, and what its terminal output must hold.
JOBS = {
    "controls": (
        [
            "data={name: digits, per_class: 12}",
            "seeds=[0]",
            "attack.steps=3",
            "train.epochs=2",
            "robust.epochs=2",
            "base=10",
            "bugs={source: mlp, student: mlp, ensemble: [linear], attack: {steps: 3}, train: {epochs: 2}}",
            "curve={eps: [0.3], expected_at: 0.3}",
        ],
        "leakage only, rand",
    ),
    "erm": (
        [
            "data={name: seefar, train_rows: 120, test_rows: 60}",
            "seeds=[0]",
            "train.epochs=1",
            "attack.steps=3",
            "restricted={train_rows: 100, train: {epochs: 1}, student: {epochs: 1}}",
            "restricted.adversarial={epochs: 1, adversary: {eps: 0.8, steps: 2, step_share: 0.6}}",
            "restricted.inversion={steps: 3}",
            "more_data={rows: [60, 120], passes: 120}",
            "attacked_rows=30",
            "explain={draws: 2, rows: 30}",
            "digits={data: {per_class: 12}, attack: {steps: 3}, train: {epochs: 2}}",
        ],
        "non-robust feature only",
    ),
    "fourier": (
        [
            "data={name: seefar, train_rows: 120, test_rows: 60}",
            "seeds=[0]",
            "standard.epochs=1",
            "gaussian.epochs=1",
            "adversarial.epochs=1",
            "corruptions={names: [fog, contrast], rows: 20}",
            "noise={norm: 6.0, low: [3], high: [3], rows: 20}",
            "filtered={low: [3], high: [11], train: {epochs: 1}}",
        ],
        "low − clean",
    ),
    "poison": (
        [
            "data={name: seefar, train_rows: 120, test_rows: 60}",
            "seeds=[0]",
            "base=20",
            "attack.steps=2",
            "train.epochs=1",
            "robust={epochs: 1, adversary: {eps: 0.8, steps: 2, step_share: 0.5}}",
            "shares=[0.5]",
            "trigger={eps: [0.8]}",
            "robustness={eps: [0.8], pgd_steps: 2, ensemble: null, rows: 20}",
            "neighbours=20",
        ],
        "P5 class-wide noise",
    ),
    "robust_features": (
        [
            "data={name: seefar, train_rows: 120, test_rows: 60}",
            "seeds=[0]",
            "students=[mlp_bottleneck16]",
            "train.epochs=1",
            "adversarial.epochs=1",
            "student.epochs=1",
            "from_image.steps=3",
            "from_noise.steps=3",
            "robustness={eps: [0.4, 0.8], ensemble: {steps: 2, queries: 5}, ensemble_eps: [0.8], rows: 20}",
            "layers={rows: 10, steps: 2}",
        ],
        "D_R from noise",
    ),
    "theory": (
        [
            "seeds=[0, 1]",
            "gaussian={samples: 20000, hard_steps: 30}",
            "two_layer={lr: 1.0, steps: 10, eps: [0.01, 0.004], examples: 100, dimension: 20, width: 10}",
            "squares={dimensions: [50, 120], examples: 200, test: 100, width: 16, epochs: 2}",
            "squares_seeds=[0, 1]",
            "synthetic={examples: 400, starts: 2, ratios: [1.0, 1.5]}",
            "synthetic_seeds=[0, 1]",
        ],
        " agree] Of ",
    ),
}


def job(name: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"jobs/{name}.py", "--site", "configs/site/inline.yaml", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "RAYLAB_DATA"} | {"RAYLAB_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", JOBS)
def test_a_run_leaves_a_table_and_a_page_and_a_second_one_computes_nothing(name: str, tmp_path: Path) -> None:
    settings, said = JOBS[name]
    first = job(name, tmp_path, *settings)
    assert first.returncode == 0, first.stderr
    assert said in first.stdout
    written = (tmp_path / "reports" / f"{name}.html").read_bytes()
    (lasting,) = (tmp_path / "reports" / name).glob("*/page.html")
    assert lasting.read_bytes() == written
    again = job(name, tmp_path, *settings)
    assert "nothing to build" in again.stderr
    assert again.stdout == first.stdout
    assert (tmp_path / "reports" / f"{name}.html").read_bytes() == written
    assert_told_apart(study(name, settings, tmp_path), name)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("controls", "base=100000", "base: at most"),
        ("erm", "dimension={sizes: [16, 24]}", "multiples of 16"),
        ("fourier", "filtered={low: [4]}", "cannot be symmetric"),
        ("poison", "base=100000", "base: at most"),
        ("robust_features", "robustness.others={l2: 500}", "others.l2: below"),
        ("worlds", "seeds=1", "seeds"),
    ],
)
def test_bad_input_ends_before_compute(name: str, change: str, said: str, tmp_path: Path) -> None:
    bad = job(name, tmp_path, change)
    assert bad.returncode == 2
    assert said in bad.stderr
    assert "Traceback" not in bad.stderr
    assert not list(tmp_path.rglob("MANIFEST.json"))
