"""What computes nothing waits for nothing: help, plans, and runs whose results are all there load no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What takes from a tenth of a second to seconds to import, and is for those who compute, draw or publish.
HEAVY = frozenset({"torch", "ray", "mlflow", "sklearn", "pandas", "matplotlib", "scipy", "jinja2"})
# Runs a job as `python jobs/<name>.py ...` does, then tells on the last line what it has imported.
RUN = """
import runpy, sys
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules)
"""
SMALL = (
    "sources=[linear]", "targets=[linear]", "seeds=[0]", "kinds=[det]", "data.per_class=20", "train.epochs=1",
    "attack.steps=3", "controls={untrained: false, random_labels: false, robust: null, leakage: null}",
    "robustness=null", "neighbours=0",
)  # fmt: skip


def heavy(home: Path, *words: str, code: str = RUN, names: frozenset[str] = HEAVY) -> frozenset[str]:
    """Which of these a process has imported at its end."""
    environment = {**os.environ, "RAYLAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"import sys; sys.argv[:] = {words!r}\n{code}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return names & {name.split(".")[0] for name in done.stdout.splitlines()[-1].split(" ")}


def test_the_package_alone_is_light(tmp_path: Path) -> None:
    assert not heavy(tmp_path, "", code="import raylab\nprint(*sys.modules)", names=HEAVY | {"numpy", "pydantic"})


@pytest.mark.parametrize("job", ["transfer_matrix", "reproduce", "sweep"])  # the last two know all experiments
def test_help_waits_for_nothing(tmp_path: Path, job: str) -> None:
    assert not heavy(tmp_path, f"jobs/{job}.py", "--help")


@pytest.mark.parametrize("job", ["transfer_matrix", "poison"])
def test_a_plan_waits_for_nothing(tmp_path: Path, job: str) -> None:
    """But for the noncentral t, of a plan that tells what it can detect: scipy.special takes .12 s, scipy.stats .4."""
    places = {"scipy.stats", "scipy.optimize"}
    code = f"{RUN}print(*(name.replace('.', '-') if name in {places} else name for name in sys.modules))"
    names = HEAVY | {name.replace(".", "-") for name in places}
    assert heavy(tmp_path, f"jobs/{job}.py", "--dry-run", code=code, names=names) == {"scipy"}


def test_a_run_that_finds_everything_computes_draws_and_starts_nothing(tmp_path: Path) -> None:
    """Not even on the site without a file, which is Ray on this machine. MLflow is asked whether it has it all."""
    job = ("jobs/transfer_matrix.py", *SMALL)
    assert heavy(tmp_path, *job, "--site", "inline") >= {"torch", "matplotlib"}
    assert not heavy(tmp_path, *job, names=frozenset({"torch", "ray", "matplotlib"}))  # scipy comes with MLflow
