"""The job as people run it, and the configs that come with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children import assert_told_apart, study

from raylab.config import load
from raylab.experiments.errors import LearningFromErrors

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs" / "learning_from_errors").glob("*.yaml"))
SMALL = [
    "seeds=[0, 1]",
    "errors.data.per_class=20",
    "errors.student.epochs=2",
    "errors.counts=[10]",
    "errors.rounds=1",
    "errors.det=null",
    "errors.students=[mlp]",
    "cue=null",
    "across.images.train_rows=100",
    "across.networks=[linear]",
    "toy.seeds=2",
    "toy.steps=5",
]


def job(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "jobs/learning_from_errors.py", "--site", "configs/site/inline.yaml", *arguments]
    environment = {**os.environ, "RAYLAB_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_a_run_leaves_a_table_and_a_page_and_a_second_one_adds_nothing(tmp_path: Path) -> None:
    first = job(tmp_path, *SMALL)
    assert first.returncode == 0, first.stderr
    assert "Errors alone, by rule" in first.stdout
    page = (tmp_path / "reports" / "learning_from_errors.html").read_bytes()
    again = job(tmp_path, *SMALL)
    assert "nothing to build" in again.stderr
    assert again.stdout == first.stdout
    assert (tmp_path / "reports" / "learning_from_errors.html").read_bytes() == page
    assert_told_apart(study("learning_from_errors", SMALL, tmp_path), "learning_from_errors")


def test_images_that_a_teacher_cannot_see_end_before_anything_is_computed(tmp_path: Path) -> None:
    done = job(tmp_path, "across.images.size=9")
    assert done.returncode == 2
    assert "images of one shape" in done.stderr
    assert not list((tmp_path / "store").rglob("MANIFEST.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_the_repository_is_valid(path: Path) -> None:
    config = load(LearningFromErrors, path)
    assert sum(part is not None for part in (config.across, config.errors, config.tint)) == 1
