"""What is done with a set that is ten times as large as the memory that the process may take is done all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import streamed_set
from harness import HERE, ROOT, Tell, whole

# Up to 16 parts of half a MB are read at once, of which each is there as bytes, as Arrow and as an array; a pass has up
# to 1,000 images of 12 KB, and neighbours are looked for among 1,024 at a time, in float64.
ALLOWED_MB = dict.fromkeys(streamed_set.WORKS, 128) | {"find neighbours": 192}
ALLOWED_MB |= {streamed_set.ON_RAY: 40}  # one part at a time
# Buffers are given back to the system, and count when they are taken.
EXACT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of one limit work on the same set."""
    return tmp_path_factory.mktemp("store")


@whole
@pytest.mark.parametrize("work", ALLOWED_MB)
def test_what_is_done_with_a_set_takes_a_tenth_of_it(work: str, store: Path, tell: Tell) -> None:
    command = [sys.executable, str(HERE / "streamed_set.py"), work, str(store), str(ALLOWED_MB[work])]
    environment = os.environ | EXACT | {"PYTHONPATH": f"{HERE}:{HERE.parent}:{ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    what = f"{work}, under an RLIMIT_DATA of {ALLOWED_MB[work]} MB more than at rest"
    tell("memory", what, "done with a set of ten times as much")
