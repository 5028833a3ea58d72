"""A fault at a moment that comes up inside a process of a job: Python's audit events tell of files that are opened and
renamed. FAULT="event|part of a path|number|action|argument"; without it nothing is done."""

from __future__ import annotations

import os
import sys


def fill(folder: str) -> None:
    """Until nothing more can be written there."""
    with open(os.path.join(folder, "ballast"), "ab", buffering=0) as ballast:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                pass


def install(told: str) -> None:
    event, pattern, number, action, argument = told.split("|")
    left, doing = int(number), False

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal left, doing
        if doing or left < 1 or name != event or not any(pattern in one for one in arguments if isinstance(one, str)):
            return
        left -= 1
        if not left:
            doing = True
            if action == "signal":
                os.kill(os.getpid(), int(argument))
            else:
                fill(argument)
            doing = False

    sys.addaudithook(hook)


if told := os.environ.get("FAULT"):
    install(told)
