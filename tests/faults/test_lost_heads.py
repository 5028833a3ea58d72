"""The head of a cluster is lost with all that its GCS knew, and another one starts at its address: a job ends with an
error, and the same command goes on."""

from __future__ import annotations

import contextlib
import random
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from harness import Job, Left, Tell, ended, finished_work, is_as_it_was, wait_for, whole
from test_ray_faults import LONG, SITE, long_undisturbed

__all__ = ["long_undisturbed"]  # the fixture
OBJECT_STORE = f"--object-store-memory={100 * 2**20}"


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def token() -> Mapping[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@pytest.fixture
def folder() -> Iterator[str]:
    """Of Ray: a short one, for the path of a Unix socket may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="rl-", dir="/tmp", ignore_cleanup_errors=True) as made:
        yield made


def node(home: Path, token: Mapping[str, str], folder: str, *words: str) -> Job:
    """A node of Ray as a process that can be taken away."""
    start = ("start", "--block", "--node-ip-address=127.0.0.1", "--num-gpus=0", OBJECT_STORE, f"--temp-dir={folder}")
    return Job(home, (*start, *words), site="", program=("-m", "ray.scripts.scripts"), environment=token)


def come_up(nodes: list[Job], processes: contextlib.ExitStack) -> None:
    """One after the other; `processes` waits for their ends."""
    for one in nodes:
        processes.enter_context(one.start())
        wait_for(lambda one=one: "Ray runtime started" in one.said())


@whole
@pytest.mark.parametrize("mark", ["to build:", "[2/", "[3/"])
def test_a_job_goes_on_after_the_head_was_lost(
    mark: str, tmp_path: Path, token: Mapping[str, str], folder: str, long_undisturbed: Left, tell: Tell
) -> None:
    address = f"127.0.0.1:{free_port()}"
    port = address.partition(":")[2]
    at = ("--head", f"--port={port}", "--include-dashboard=false", "--num-cpus=0")
    job = Job(tmp_path / "home", LONG, SITE, environment={**token, "RAY_ADDRESS": address})
    with contextlib.ExitStack() as processes, contextlib.ExitStack() as all_of_it:
        nodes = [node(tmp_path / "head", token, f"{folder}/h", *at)]
        nodes += [node(tmp_path / "worker", token, f"{folder}/w", f"--address={address}", "--num-cpus=2")]
        for one in (*nodes, job):
            all_of_it.enter_context(ended(one))
        come_up(nodes, processes)
        process = job.start()
        wait_for(lambda: mark in job.said() or process.poll() is not None)
        time.sleep(random.Random(mark).uniform(0, 3))
        nodes[0].end()
        lost = time.monotonic()
        code, done = process.wait(600), finished_work(job.home)
        took = time.monotonic() - lost
        assert code not in (0, None), job.said()
        assert nodes[1].orphans(120) == 0  # the worker leaves a cluster that is no more
        assert job.orphans() == 0
        come_up(nodes, processes)
        assert job.run(600) == 0, job.said()
        assert Left.of(job.home) == long_undisturbed
        assert is_as_it_was(done)
    tell("head lost, without fault tolerance of its GCS", f"at {mark}", f"exit code {code} after {took:.0f} s; went on")
