"""Ctrl-C and SIGTERM: one quiet stop, wherever they arrive. Imports nothing that takes time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPPED = 130  # the exit code
AGAIN_SECONDS = 0.05

Hook = Callable[["sys.UnraisableHookArgs"], object]


@contextmanager
def importing() -> Iterator[None]:
    """Ctrl-C ends the process at once, while a job's imports take their seconds: nothing is there to be cleaned up, and
    some libraries turn the interruption of their import into errors of their own."""
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    else:  # somebody else's process, or one that ignores Ctrl-C
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt as Ctrl-C does: `ray job stop` and Kubernetes ask with it."""
    if not _in_main_thread():
        yield
        return
    hook, again = sys.unraisablehook, list[threading.Timer]()
    before = signal.signal(signal.SIGTERM, _interrupt)
    sys.unraisablehook = asking_again(KeyboardInterrupt, hook, again)
    try:
        yield
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def asking_again(stop: type[BaseException], otherwise: Hook, timers: list[threading.Timer]) -> Hook:
    """A `sys.unraisablehook` under which no SIGTERM is lost whose handler raises `stop`; `timers` gets what waits.

    `otherwise` is the hook for all other exceptions.

    Python drops and prints an exception that is raised inside a finaliser or the callback of a weak reference
    ("Exception ignored in: <function WeakSet..."): a stop that falls there is asked for again, without a word.
    """

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is not stop:
            otherwise(what)
            return
        timers.append(threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)))
        timers[-1].daemon = True
        timers[-1].start()

    return dropped


def _in_main_thread() -> bool:
    """Only there Python takes and runs handlers."""
    return threading.current_thread() is threading.main_thread()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    os._exit(STOPPED)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
