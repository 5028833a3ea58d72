"""A stop is quiet and is not lost, wherever it falls."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
from ray import cloudpickle

from raylab.cluster.connect import _set_up
from raylab.stop import STOPPED, importing, interruptible

ROOT = Path(__file__).parent.parent
JOBS = sorted((ROOT / "jobs").glob("*.py"))


def hear_interrupts() -> None:
    """Also where the tests run in a background that does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_ctrl_c_during_a_job_s_imports_ends_it_without_a_word(job: Path, tmp_path: Path) -> None:
    """One library takes for ever; what it makes of an interruption of its import is an error of its own."""
    library = "torch" if job.stem == "benchmark" else "pydantic"  # the first that takes long
    (tmp_path / f"{library}.py").write_text(
        "import pathlib, sys, time\n"
        f"pathlib.Path({str(tmp_path / 'began')!r}).touch()\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt as stop:\n    raise ImportError('no backend') from stop\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, str(job)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_interrupts,
    )
    end = time.monotonic() + 100
    while not (tmp_path / "began").exists():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (said, process.returncode) == ("", STOPPED)


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_a_job_imports_nothing_of_raylab_outside_that_guard(job: Path) -> None:
    outside = [node for node in ast.parse(job.read_text()).body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in outside if str(node.module).startswith("raylab")] == ["raylab.stop"]


@pytest.mark.parametrize("name", ["runnable", "reproduce", "sweep"])
def test_neither_does_what_runs_one_by_its_name(name: str) -> None:
    """`raylab run NAME` imports an experiment when it is asked for."""
    body = ast.parse((ROOT / "raylab" / "entry.py").read_text()).body
    (function,) = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert [node for node in function.body if isinstance(node, ast.With)]
    assert not [node for node in function.body if isinstance(node, ast.ImportFrom)]


def test_after_the_imports_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with importing():
        assert (signal.getsignal(signal.SIGINT) is before) == (before is not signal.default_int_handler)
    assert signal.getsignal(signal.SIGINT) is before


class Node:
    """Something that can be referred to weakly."""


def stopped_in_a_callback(number: signal.Signals) -> None:
    with interruptible():
        node = Node()
        kept = weakref.ref(node, lambda _: signal.raise_signal(number))
        del node
        assert kept() is None
        time.sleep(30)  # lost, were it not asked for again


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.filterwarnings("error")
def test_a_stop_inside_the_callback_of_a_weak_reference_is_neither_printed_nor_lost(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in a background
    try:
        with pytest.raises(KeyboardInterrupt):
            stopped_in_a_callback(number)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "ignored" not in capfd.readouterr().err


def test_other_errors_in_finalisers_are_printed_as_ever() -> None:
    seen: list[object] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda what: seen.append(what.exc_type)
    try:
        with interruptible():
            node = Node()
            kept = weakref.ref(node, lambda _: 1 / 0)
            del node
            assert kept() is None
    finally:
        sys.unraisablehook = hook
    assert seen == [ZeroDivisionError]


def test_a_worker_of_ray_that_is_told_to_end_inside_a_finaliser_ends_without_a_word() -> None:
    """Ray's own handler of SIGTERM raises SystemExit(1); what new workers run first travels by value."""
    worker = (
        "import pickle, signal, sys, time, weakref\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "pickle.loads(sys.stdin.buffer.read())()\n"
        "assert not [name for name in sys.modules if name.startswith('raylab')]\n"
        "class Node: pass\n"
        "node = Node()\n"
        "kept = weakref.ref(node, lambda _: signal.raise_signal(signal.SIGTERM))\n"
        "del node\n"
        "time.sleep(30)\n"
    )
    function = cloudpickle.dumps(_set_up({"RAYLAB_HOME": "/somewhere"}))
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", worker], input=function, capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 1)
    assert time.monotonic() - began < 20
