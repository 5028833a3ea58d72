"""Ray's C++ core before it knows how loud it may be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# "[2026-01-31 12:00:00,000 I 42 42] logging.cc:303: ..." of severities below fatal ("C"), on its way from stdin to
# stderr. In a process of its own: the last words of a driver that the core aborts must come through.
FILTER = r"""
import re, sys
for line in sys.stdin.buffer:
    if not re.match(rb"\[\d{4}-\d\d-\d\d [\d:,]+ [TDIWE] \d+ \d+\] (\(.*?\) )?\w+\.(cc|h):\d+: ", line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
END_SECONDS = 5


@contextmanager
def without_core_lines() -> Iterator[None]:
    """While Ray starts, without the lines that its core writes to stderr before it has read RAY_BACKEND_LOG_LEVEL, and
    the one that says that it has. Where people have chosen another level than ours, nothing is left out."""
    if os.environ.get("RAY_BACKEND_LOG_LEVEL") != "fatal":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    # A session of its own, so that Ctrl-C does not end it before the driver has said what it has to say.
    sieve = subprocess.Popen([sys.executable, "-ISc", FILTER], stdin=subprocess.PIPE, start_new_session=True)
    assert sieve.stdin is not None
    try:
        os.dup2(sieve.stdin.fileno(), 2)
        sieve.stdin.close()
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        with suppress(subprocess.TimeoutExpired):  # a process of Ray's that holds on to its end is no reason to wait
            sieve.wait(END_SECONDS)
