"""`ray job submit` against a head with token authentication, started here and ended by its own id."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent
JOB = ["python", "jobs/transfer_matrix.py", "study=submitted", "sources=[mlp]", "targets=[mlp]", "kinds=[rand]"]
SMALL = ["seeds=[0]", "data.per_class=20", "train.epochs=2", "attack.steps=3", "controls.untrained=false"]
SMALL += ["controls.random_labels=false", "controls.unperturbed=false", "controls.leakage=null", "controls.robust=null"]
SMALL += ["neighbours=0", "robustness=null"]

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A head node in this checkout, and the environment in which its clients speak to it."""
    folder = tmp_path_factory.mktemp("head")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    dashboard, path = free_port(), f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYLAB_"))}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "PATH": path}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}
    ports = {"--port": free_port(), "--dashboard-port": dashboard, "--dashboard-agent-listen-port": free_port()}
    ports |= {"--ray-client-server-port": free_port()}
    command = ["ray", "start", "--head", "--block", "--num-cpus=2", "--num-gpus=0", "--disable-usage-stats"]
    command += ["--dashboard-host=127.0.0.1", f"--object-store-memory={150 * 2**20}"]
    command += [f"{flag}={port}" for flag, port in ports.items()]
    # A short folder: the path of a Unix socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="rh-", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        with (folder / "head.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, f"--temp-dir={temporary}"], env=environment, cwd=ROOT, stdout=log, stderr=log
            )
        address = f"http://127.0.0.1:{dashboard}"
        try:
            wait_until_it_answers(address, process, folder / "head.log")
            own = {"RAY_API_SERVER_ADDRESS": address, "HEAD": f"127.0.0.1:{ports['--port']}", "FOLDER": temporary}
            yield environment | own
        finally:
            started = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(
                signal.SIGTERM
            )  # --block ends what it started, and nothing else; some take half a minute
            for late in psutil.wait_procs(started, timeout=5)[1]:
                late.kill()
            process.wait(timeout=60)


def wait_until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/gcs_healthz", timeout=2).read()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(f"the head did not start:\n{log.read_text()[-2000:]}")


def submit(
    head: Mapping[str, str], home: Path, *options: str, entrypoint: list[str]
) -> subprocess.CompletedProcess[str]:
    runtime = json.dumps({"env_vars": {"RAYLAB_HOME": str(home)}})
    command = ["ray", "job", "submit", *options, "--runtime-env-json", runtime, "--", *entrypoint]
    return subprocess.run(command, env=dict(head), cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def runs(home: Path) -> list[tuple[str, str]]:
    """(name, status) of every run in the home's MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return sorted((run.info.run_name, run.info.status) for run in client.search_runs(experiments))


@pytest.mark.parametrize(("retried", "status"), [("", "FAILED"), ("true", "STOPPED")])
def test_bad_input_stops_a_job_that_would_be_tried_again(
    head: Mapping[str, str], tmp_path: Path, retried: str, status: str
) -> None:
    """KubeRay's operator tries again what has failed, and not what was stopped."""
    runtime = json.dumps({"env_vars": {"RAYLAB_HOME": str(tmp_path), "RAYLAB_RETRIED": retried}})
    submitted = ["ray", "job", "submit", "--submission-id", f"bad-{status}", "--runtime-env-json", runtime, "--"]
    # Known before there is a store, and after.
    bad = ["atack.eps=1"] if retried else ["--site", str(tmp_path / "site.yaml")]
    (tmp_path / "site.yaml").write_text("tracking: http://127.0.0.1:1\n")
    ran = subprocess.run(
        [*submitted, *JOB, *bad], env=dict(head), cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    asked = ["ray", "job", "status", f"bad-{status}"]
    told = subprocess.run(asked, env=dict(head), capture_output=True, text=True, timeout=120, check=True)
    assert {"FAILED": "failed", "STOPPED": "was stopped"}[status] in told.stdout + told.stderr
    assert "Traceback" not in ran.stdout
    if retried:
        assert "atack.eps" in ran.stdout
        assert "this job is stopped" in ran.stdout
    else:
        assert "MLflow at http://127.0.0.1:1" in (tmp_path / "store" / "logs" / f"bad-{status}.log").read_text()


def listed(head: Mapping[str, str], what: str) -> list[str]:
    """The names of Ray's state API."""
    command = ["ray", "list", what, "--address", head["RAY_API_SERVER_ADDRESS"], "--format", "json", "--detail"]
    found = subprocess.run(
        [*command, "--limit", "1000"], env=dict(head), capture_output=True, text=True, timeout=120, check=True
    )
    entries = json.loads(found.stdout[found.stdout.index("[") :])
    return [str(one["class_name"] if what == "actors" else (one["metadata"] or {}).get("job_name")) for one in entries]


DRIVER = """
import os, sys, ray
from raylab.cluster.connect import connect
connect(None, work="erm: named")
worker = ray.remote(lambda: [os.environ.get(name) for name in ("AWS_SECRET_ACCESS_KEY", "RAYLAB_DATA", "OTHER")])
print(ray.get(worker.remote()))
"""


def test_a_driver_hands_its_credentials_to_the_workers_of_a_cluster_and_to_none_of_its_logs(
    head: Mapping[str, str],
) -> None:
    secret = secrets.token_hex(20)
    environment = {
        **head,
        "RAY_ADDRESS": head["HEAD"],
        "AWS_SECRET_ACCESS_KEY": secret,
        "RAYLAB_DATA": "/d",
        "OTHER": "x",
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == f"{[secret, '/d', None]}\n", done.stderr
    assert "logging.cc" not in done.stderr
    assert "erm: named" in listed(head, "jobs")
    logs = [path for path in Path(head["FOLDER"]).rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in logs if path.name == "runtime_env_agent.log"]
    assert [path for path in logs if secret.encode() in path.read_bytes()] == []


def test_without_the_token_nothing_is_accepted(head: Mapping[str, str], tmp_path: Path) -> None:
    stranger = {name: value for name, value in head.items() if not name.startswith("RAY_AUTH")}
    wrong = {**stranger, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    for environment in (stranger, wrong):
        assert submit(environment, tmp_path, entrypoint=JOB).returncode != 0
    assert not (tmp_path / "mlflow.db").exists()
