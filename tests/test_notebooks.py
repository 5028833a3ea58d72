"""The notebooks run from top to bottom, and are kept as they were last executed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_a_tour_and_an_audit() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["audit", "tour"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    """Without Jupyter: its kernel and what it needs are 106 MB, and the cells are plain Python."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    own = {"MPLBACKEND": "Agg", "RAYLAB_HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": paths}
    command = [sys.executable, str(ROOT / "tests" / "notebooks.py"), str(path)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if path.stem == "tour":
        assert "made again from its inputs: the same bytes" in done.stdout
    else:
        assert "refused: images" in done.stdout
        assert "zero gradients" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_executed_in_order_and_tells_nothing_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert not re.search(r"/(?:tmp|home|root|work)/", text)
    assert len(text) < 300_000
