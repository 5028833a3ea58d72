"""A store that is far away answers in bounded time, or the command ends with one line before anything is computed."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from test_cli import BAD_INPUT, started

from raylab.engine.artifact import StoreError
from raylab.engine.remote import check_reachable, is_remote
from raylab.engine.store import Store

LOCAL = "127.0.0.1"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server((LOCAL, 0), backlog=50) as server:
        yield server.getsockname()[1]


def uri(port: int) -> str:
    return f"s3://bucket/store?endpoint_override={LOCAL}:{port}&scheme=http"


def free_port() -> int:
    with socket.create_server((LOCAL, 0)) as server:
        return int(server.getsockname()[1])


def test_a_store_that_says_nothing_is_given_up(silent: int) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"cannot be reached \(no answer within 3 s\); check address, network"):
        check_reachable(uri(silent), seconds=3)
    assert time.monotonic() - began < 30  # Arrow's own patience is 99 s


@pytest.mark.slow
def test_a_job_whose_store_cannot_be_reached_ends_in_one_line_also_when_it_only_looks(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(f"backend: inline\ntracking: none\nstore: {uri(free_port())!r}\n")
    home = str(tmp_path / "home")
    jobs = [started(*arguments, RAYLAB_SITE=str(site), RAYLAB_HOME=home) for arguments in (["--dry-run"], [])]
    for job in jobs:
        out, err = job.communicate(timeout=120)
        assert (job.returncode, out) == (BAD_INPUT, ""), err
        (line,) = err.splitlines()
        assert line.startswith(f"{site}: store ")
        assert "cannot be reached (" in line


def test_a_store_that_answers_is_reached_whether_it_holds_anything_or_not() -> None:
    server = ThreadedMotoServer(ip_address=LOCAL, port=0, verbose=False)
    server.start()
    try:
        at = f"s3://bucket/store?endpoint_override={LOCAL}:{server.get_host_and_port()[1]}&scheme=http"
        check_reachable(at)
        Store(f"{at}&allow_bucket_creation=true").filesystem.create_dir("bucket")
        check_reachable(at)
        Store(at).check_writable()
    finally:
        server.stop()


@pytest.mark.parametrize("place", ["/a/path", "relative", "file:///a/path", "C:/odd"])
def test_a_folder_is_not_asked(place: str) -> None:
    assert not is_remote(place)
    check_reachable(place, seconds=0)
