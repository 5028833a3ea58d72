"""The small place's Pods as processes here: what the rendered manifests say is run, from MLflow to the submitter's end.

Command, args and environment are the manifests' (and KubeRay's, kuberay.py). Others than in a Pod are: folders in place
of volumes, ports (one machine has each once), names of Services, one worker, and fewer images, for the time.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from k8s.pods import Pod, pods
from k8s.rendered import ROOT, place, rayjob
from test_submission import SMALL, runs

from k8s import commands, kuberay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUICK = ["study=rendered", "sources=[mlp]", "targets=[mlp]", "kinds=[rand]", *SMALL]


class Machine:
    """Where this machine differs from the place: folders, ports, names."""

    def __init__(self, folder: Path) -> None:
        names = (
            "gcs",
            "dashboard",
            "client",
            "agent",
            "metrics",
            "agent of the worker",
            "metrics of the worker",
            "mlflow",
        )
        self.folder, self.token = folder, secrets.token_hex(32)
        self.port = dict(zip(names, free_ports(len(names)), strict=True))
        self.head = f"127.0.0.1:{self.port['gcs']}"
        self.address = f"http://127.0.0.1:{self.port['dashboard']}"

    def here(self, text: str, pod: str) -> str:
        mlflow = f"127.0.0.1:{self.port['mlflow']}"
        text = text.replace("raylab-mlflow.raylab-mlflow:5000", mlflow)
        text = text.replace("raylab-mlflow:5000", mlflow).replace("--port=5000", f"--port={self.port['mlflow']}")
        for path in ("/results", "/etc/raylab", "/mlflow/"):
            text = text.replace(path, f"{self.folder}{path}")
        return text.replace("/home/raylab", f"{self.folder}/home-{pod}")

    def environment(self, pod: Pod, **more: str) -> dict[str, str]:
        """What a container sees, and of this process only where programs are."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {each["name"]: self.here(each["value"], pod.name) for each in pod.spec["containers"][0].get("env", ())}
        Path(given["HOME"]).mkdir(exist_ok=True)
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}  # the operator's, of the Secret
        image = {"OMP_NUM_THREADS": "1"}  # of k8s/image/Dockerfile
        return {"PATH": path, "LC_ALL": "C.UTF-8", **image, **token, **given, **more}

    @contextmanager
    def running(self, pod: Pod, command: list[str], **more: str) -> Iterator[subprocess.Popen[bytes]]:
        path = self.folder / f"{pod.name}.log"
        with path.open("wb") as log:
            started = subprocess.Popen(
                command, env=self.environment(pod, **more), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield started
        finally:
            family: list[psutil.Process] = []
            with suppress(psutil.NoSuchProcess):  # it may have ended: that is not what the test is to tell of
                first = psutil.Process(started.pid)
                family = [*first.children(recursive=True), first]
            for process in family:
                _quietly(process.terminate)
            for late in psutil.wait_procs(family, timeout=15)[1]:
                _quietly(late.kill)
            started.wait(timeout=60)
            # pytest shows it where the test has failed.
            print(f"-- {path.name}, exit code {started.returncode}\n{path.read_text(errors='replace')[-2000:]}")


def free_ports(count: int) -> list[int]:
    """Different, for all are held until the last is known."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _quietly(end: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        end()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "results").mkdir()
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "etc" / "raylab").mkdir(parents=True)
    for path, text in commands.mounted_files(place("small")).items():
        (tmp_path / path.removeprefix("/")).write_text(text)
    return Machine(tmp_path)


def test_the_rendered_run_succeeds_from_mlflow_to_the_submitter(machine: Machine) -> None:
    found = {pod.name: pod for pod in pods(place("small"))}
    spec: dict[str, Any] = rayjob("small")["spec"]
    cluster = spec["rayClusterSpec"]
    server = found["mlflow"].spec["containers"][0]
    words = [machine.here(word, "mlflow") for word in (*server["command"], *server["args"])]
    ports = machine.port
    # A short folder: the path of a Unix socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="rk-", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        at_head = {
            "port": ports["gcs"],
            "dashboard-port": ports["dashboard"],
            "ray-client-server-port": ports["client"],
        }
        at_head |= {"dashboard-agent-listen-port": ports["agent"], "metrics-export-port": ports["metrics"]}
        at_worker = {"dashboard-agent-listen-port": ports["agent of the worker"]}
        at_worker |= {"metrics-export-port": ports["metrics of the worker"]}
        more = {name: str(port) for name, port in at_head.items()} | {"temp-dir": temporary}
        head = kuberay.node_command("head", cluster["headGroupSpec"], machine.head, more)
        more = {name: str(port) for name, port in at_worker.items()}
        worker = kuberay.node_command("worker", cluster["workerGroupSpecs"][0], machine.head, more)
        with (
            machine.running(found["mlflow"], words) as mlflow,
            machine.running(found["head"], head, RAY_ADDRESS=machine.head, RAYLAB_WORKERS="1"),
        ):
            subprocess.run(
                kuberay.waiting_command(machine.head),
                env=machine.environment(found["worker"]),
                check=True,
                timeout=300,
                cwd=ROOT,
            )
            with machine.running(found["worker"], worker, RAY_ADDRESS=machine.head):
                wait_for(f"http://127.0.0.1:{ports['mlflow']}{server['startupProbe']['httpGet']['path']}", mlflow)
                done = submit(machine, found["submitter"], spec)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "succeeded" in done.stdout.lower(), done.stdout[-3000:]
    # The volumes hold what the run made: its store, its page, and the runs, which MLflow's server wrote.
    assert list((machine.folder / "results" / "store").rglob("MANIFEST.json"))
    assert (machine.folder / "results" / "reports" / "transfer_matrix.html").stat().st_size > 10_000
    tracked = runs(machine.folder / "mlflow")
    assert [status for _, status in tracked] == ["FINISHED"] * 2
    assert any("mlp mlp" in name for name, _ in tracked)


def submit(machine: Machine, pod: Pod, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    entrypoint = machine.here(" ".join([spec["entrypoint"], *QUICK]), "head")
    command = kuberay.submitter_command(spec | {"entrypoint": entrypoint}, machine.address, "transfer-matrix-abcde")
    environment = machine.environment(pod)
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(f"{url} does not answer")
