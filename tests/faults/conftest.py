"""What faults are compared with, how often each is injected, and the table of what happened."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from harness import Job, Left, Tell

COLUMNS = ("fault", "moment", "what happened")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The study of these tests as it is when nothing goes wrong."""
    job = Job(tmp_path_factory.mktemp("undisturbed") / "home")
    assert job.run() == 0, job.said()
    return Left.of(job.home)


@pytest.fixture
def tell() -> Tell:
    """Adds a line to the table of FAULTS_CSV: one fault that was really injected."""

    def told(fault: str, moment: str, happened: str) -> None:
        if path := os.environ.get("FAULTS_CSV"):
            there = Path(path).exists()
            with open(path, "a", newline="") as file:
                lines = csv.writer(file)
                lines.writerows(([] if there else [COLUMNS]) + [(fault, moment, happened)])

    return told
