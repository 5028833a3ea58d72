"""A set that is ten times as large as the memory that its process may take is constructed all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness import HERE, ROOT, Tell, whole

ALLOWED_MB, ROWS = 40, 6000  # the set has 68 KB a row
# Buffers are given back to the system, and count when they are taken.
EXACT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}


@whole
def test_a_set_of_ten_times_the_memory_is_constructed(tmp_path: Path, tell: Tell) -> None:
    command = [sys.executable, str(HERE / "streamed_set.py"), str(tmp_path / "store"), str(ROWS), str(ALLOWED_MB)]
    environment = os.environ | EXACT | {"PYTHONPATH": f"{HERE.parent}:{ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    peak, size = map(float, done.stdout.split())
    assert size > 10 * ALLOWED_MB > 10 * peak
    tell(
        "memory",
        f"a set of {size:.0f} MB, RLIMIT_DATA of {ALLOWED_MB} MB more than at rest",
        "constructed; resident memory grew by less",
    )
