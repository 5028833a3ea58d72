"""Ray that cannot start or be reached: a line, a remedy, and soon."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from raylab.cluster import preflight, reach
from raylab.cluster.quiet import without_core_lines
from raylab.site import SiteFile

TESTS = Path(__file__).parent.parent
PATIENCE_SECONDS = 30


def test_a_temporary_folder_too_long_for_a_socket_is_refused_with_the_length_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ray._private.utils import validate_socket_filepath

    monkeypatch.setattr(reach.Path, "mkdir", lambda *_, **__: None)
    monkeypatch.setattr(reach.tempfile, "TemporaryFile", lambda **_: contextlib.nullcontext())
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 200)
    with pytest.raises(preflight.SiteError, match=r"RAY_TMPDIR: .*too long for a socket; set RAY_TMPDIR") as caught:
        preflight.check_machine(SiteFile(), gpus=0)
    most = int(re.search(r"at most (\d+) characters", str(caught.value))[1])  # type: ignore[index]
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (most - 1))
    preflight.check_machine(SiteFile(), gpus=0)
    validate_socket_filepath(reach.temporary_folder() + reach.SOCKET)  # Ray's own check of the same path
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * most)
    with pytest.raises(OSError, match="AF_UNIX"):
        validate_socket_filepath(reach.temporary_folder() + reach.SOCKET)
    with pytest.raises(preflight.SiteError):
        preflight.check_machine(SiteFile(), gpus=0)


def test_a_temporary_folder_that_cannot_be_written_is_refused_by_the_name_that_people_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(reach, "SOCKET_BYTES", 4096)  # the folders of tests are long
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    with pytest.raises(
        preflight.SiteError, match=r"^TMPDIR: Ray cannot write .*file/ray.*; set RAY_TMPDIR to a folder"
    ):
        preflight.check_machine(SiteFile(), gpus=0)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "not" / "there"))
    preflight.check_machine(SiteFile(), gpus=0)  # Ray makes it too


UNREACHABLE = {
    "127.0.0.1:1": "refused",
    "no-such-host.invalid:6379": "Name or service not known|name resolution|nodename",
    "http://127.0.0.1:8265": "host:port of a head, not a page; .* RAY_API_SERVER_ADDRESS",
    "ray://127.0.0.1:1": "client cannot hand .*use host:6379 of the head, .*submit the job with `ray job submit`",
    "head": "host:port of a head, as",
}


@pytest.mark.parametrize("address", UNREACHABLE)
def test_an_address_where_no_head_is_says_why_within_seconds(address: str) -> None:
    began = time.monotonic()
    with pytest.raises((OSError, ValueError), match=UNREACHABLE[address]):
        reach.check(address)
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_rays_client_is_refused_also_where_its_server_listens() -> None:
    """It would fail later, and in Ray's words: neither job_config nor a hook for workers is JSON."""
    with (
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server,
        pytest.raises(ValueError, match="from outside submit the job with `ray job submit`"),
    ):
        reach.check(f"ray://127.0.0.1:{server.getsockname()[1]}")


def test_something_that_listens_and_is_no_head_is_waited_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "ANSWER_SECONDS", 3)
    with (
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent,
        pytest.raises(ConnectionError, match="something listens there, but no head of Ray's answers in 3 s"),
    ):
        reach.check(f"127.0.0.1:{silent.getsockname()[1]}")


RAY_BREAKS = """
import sys, time
from types import SimpleNamespace
import raylab.cluster
import ray._private.node as node
import ray._private.services as services
if sys.argv[1] == "raylet":
    services.RAYLET_EXECUTABLE = "/bin/false"
    def absent(*of):  # Ray asks for 30 s, which pass with the first question
        node.time = SimpleNamespace(**vars(time) | {{"monotonic": lambda: time.monotonic() + 31}})
        raise RuntimeError("no such node")
    services.get_node = absent
sys.argv[1:] = ["count=4", "--site", sys.argv[2]]
sys.path.insert(0, {tests!r})
import test_cli
test_cli.main()
"""


def job(tmp_path: Path, broken: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    site = tmp_path / "site.yaml"
    site.write_text("backend: ray\ntracking: none\ncpus: 1\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", RAY_BREAKS.format(tests=str(TESTS)), broken, str(site)]
    return subprocess.run(
        command, env={**clean, **environment}, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_dead_address_ends_a_job_with_exit_code_2_in_one_line(tmp_path: Path) -> None:
    done = job(tmp_path, "", {"RAY_ADDRESS": "127.0.0.1:1"})
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith(("store ", "tracking ", "reports "))]
    assert re.search(r"RAY_ADDRESS=127.0.0.1:1: .*refused.*; start one, or unset RAY_ADDRESS", line)


@pytest.mark.slow
def test_a_node_that_does_not_come_up_ends_a_job_with_exit_code_1_in_one_line(tmp_path: Path) -> None:
    done = job(tmp_path, "raylet", {})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert re.search(r"^Ray could not be started on this machine \(.*timed out.*inline", lines[-1]), done.stderr
    assert not [line for line in lines if re.search(r"\.cc:\d+", line)]


def test_of_what_ray_s_core_writes_while_it_starts_only_its_last_words_are_seen(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chatter = "[2026-01-31 12:00:00,000 I 42 42] logging.cc:303: Set ray log level from environment variable\n"
    chatter += "[2026-01-31 12:00:00,000 W 42 42] gcs_client.cc:210: Failed to get cluster ID\n"
    last = "[2026-01-31 12:00:00,000 C 42 42] core_worker.cc:99:  Check failed: status\nand a word of ours\n"
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
    with without_core_lines():
        os.write(2, (chatter + last).encode())
    assert capfd.readouterr().err == last
    os.write(2, b"after\n")
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "info")
    with without_core_lines():
        os.write(2, chatter.encode())
    assert capfd.readouterr().err == "after\n" + chatter


WAITING_TRIAL = """
import sys
import raylab.cluster
from pathlib import Path
from ray._private.event.event_logger import get_event_logger
from ray._private.worker import print_worker_logs
from ray.core.generated.event_pb2 import Event
from ray.autoscaler.v2.event_logger import AutoscalerEventLogger
from ray.autoscaler.v2.utils import ResourceRequestUtil

folder = Path(sys.argv[1])
request = ResourceRequestUtil.make({"GPU": 1})
events = AutoscalerEventLogger(get_event_logger(Event.SourceType.AUTOSCALER, str(folder)))
events.log_cluster_scheduling_update({"CPU": 1}, infeasible_requests=[request])
lines = (folder / "events" / "event_AUTOSCALER.log").read_text().splitlines()
assert "No available node types can fulfill" in lines[0]
print_worker_logs({"pid": "autoscaler", "lines": lines, "ip": "", "localhost": ""}, sys.stdout)
"""


@pytest.mark.parametrize("chosen", [None, "1"])
def test_what_the_autoscaler_says_of_each_waiting_trial_is_not_in_the_drivers_log_unless_asked_for(
    tmp_path: Path, chosen: str | None
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_SCHEDULER_EVENTS"}
    environment |= {"RAY_enable_autoscaler_v2": "1"} | ({"RAY_SCHEDULER_EVENTS": chosen} if chosen else {})
    command = [sys.executable, "-c", WAITING_TRIAL, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert ("No available node types" in done.stdout) is (chosen is not None)
