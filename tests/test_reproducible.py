"""A study from an empty store has the same digests, trainings included, whatever surrounds the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Builds a matrix of See-Far in the order that it is told, and prints the digest of each artifact by its key.
BUILD = """
import json, locale, random, sys
import runs, toy
from raylab.engine import runner
from raylab.engine.ancestry import Ancestry
from raylab.engine.store import Store

locale.setlocale(locale.LC_ALL, "")
cells = list(runs.plan(runs.SEEFAR).items())
if sys.argv[2] != "as planned":
    cells.reverse() if sys.argv[2] == "backwards" else random.Random(5).shuffle(cells)
store = Store(sys.argv[1])
runner.build(dict(cells), store, runner.InlineBackend(), toy.Recorder())
print(json.dumps({one.key: one.digest for one in Ancestry(store).everything()}))
"""
SURROUNDINGS = {
    "as planned": {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "LC_ALL": "C", "TZ": "UTC"},
    "backwards": {
        "PYTHONHASHSEED": "1",
        "OMP_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "3",
        "LC_ALL": "C.UTF-8",
        "TZ": "Asia/Kathmandu",
    },
    "shuffled": {"PYTHONHASHSEED": "4294967295", "OMP_NUM_THREADS": "2", "LC_ALL": "POSIX", "TZ": "America/St_Johns"},
}


@pytest.mark.slow
def test_hash_seed_folder_order_threads_locale_and_time_zone_change_no_digest(tmp_path: Path) -> None:
    found = {}
    for order, settings in SURROUNDINGS.items():
        folder = tmp_path / order / "working äß directory"
        folder.mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, "-c", BUILD, str(tmp_path / order / "store"), order],
            cwd=folder,
            env={**kept, **settings, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "HOME": str(tmp_path / order)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[order] = json.loads(done.stdout)
    first, *others = found.values()
    assert len(first) > 20
    assert all(other == first for other in others)
