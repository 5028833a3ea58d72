"""`make cluster-local`: the parts of a cluster as processes of this machine, and only they are ended."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import boto3
import psutil
import pytest
from mlflow import MlflowClient
from test_submission import listed

from raylab.engine.store import Store

ROOT = Path(__file__).parent.parent.parent
LOCAL = ROOT / "k8s" / "local"
PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
JOB = ["python", "jobs/transfer_matrix.py", "study=local", "sources=[mlp]", "targets=[mlp]", "kinds=[rand]"]
JOB += ["seeds=[0]", "data.per_class=20", "train.epochs=2", "attack.steps=3", "controls.untrained=false"]
JOB += ["controls.random_labels=false", "controls.leakage=null", "controls.robust=null", "neighbours=0"]
JOB += ["robustness=null", "controls.unperturbed=false"]
RESULTS = 12  # of that job
NOISE = ("logging.cc", "Exception ignored", "Traceback", "DeprecationWarning")
UP_SECONDS = 600  # cluster.py grants each of five parts 240, and some wait at the same time


def loaded(name: str) -> ModuleType:
    """A module of k8s/local, which is no package: it is run, not installed."""
    spec = importlib.util.spec_from_file_location(f"local_{name}", LOCAL / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


processes = loaded("processes")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end when it is asked is killed soon."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.5)


@pytest.fixture
def bystander() -> Iterator[psutil.Process]:
    """Somebody else's process, with the same command line."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def started(tmp_path: Path, ending: str) -> tuple[object, list[psutil.Process]]:
    """A ledger with one service, and its two processes."""
    ledger = processes.Ledger.read(tmp_path / "processes.json")
    command = [sys.executable, "-c", PARENT + ending]
    ledger.start("service", command, os.environ, tmp_path, tmp_path / "log", None)
    first = psutil.Process(ledger.services["service"][0].pid)
    end = time.monotonic() + 30
    while not (children := first.children()) and time.monotonic() < end:
        time.sleep(0.05)
    ledger.note_children("service")
    return processes.Ledger.read(ledger.path), [first, *children]  # as another command reads it


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("at_once", [False, True])
def test_a_service_ends_with_what_it_has_started_and_nothing_else_does(
    tmp_path: Path, bystander: psutil.Process, at_once: bool
) -> None:
    ledger, own = started(tmp_path, "time.sleep(600)")
    assert len(own) == 2
    assert ledger.end("service", at_once=at_once) == 2
    assert all(gone(process) for process in own)
    assert not gone(bystander)
    assert not ledger.runs("service")
    assert ledger.end("service") == 0


def test_what_a_lost_service_has_left_is_ended_too(tmp_path: Path) -> None:
    ledger, (first, child) = started(tmp_path, "time.sleep(600)")
    first.kill()
    psutil.wait_procs([first], timeout=10)
    assert not gone(child)
    assert recorded(ledger.path) == [child]
    assert not ledger.runs("service")
    assert ledger.end("service") == 1
    assert gone(child)


def test_an_id_that_is_somebody_else_s_by_now_is_left_alone(tmp_path: Path, bystander: psutil.Process) -> None:
    ledger = processes.Ledger(tmp_path / "processes.json")
    ledger.services["service"] = [processes.Known(bystander.pid, "another boot 12345")]
    assert not ledger.runs("service")
    assert ledger.end("service", at_once=True) == 0
    assert not gone(bystander)


def test_a_clock_that_is_set_does_not_make_one_s_own_processes_somebody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, own = started(tmp_path, "time.sleep(600)")
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 2)
    assert ledger.runs("service")
    assert ledger.end("service", at_once=True) == len(own) == 2


def test_down_removes_nothing_while_a_process_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, own = started(tmp_path, "time.sleep(600)")
    (tmp_path / "postgres").mkdir()
    monkeypatch.syspath_prepend(str(LOCAL))
    cluster = loaded("cluster")
    monkeypatch.setattr(sys.modules["processes"], "GRACE_SECONDS", 0.1)  # as it is imported there
    local = cluster.LocalCluster(tmp_path)
    with monkeypatch.context() as undying:
        undying.setattr(psutil.Process, "kill", lambda _: None)
        undying.setattr(psutil.Process, "terminate", lambda _: None)
        local.ledger.services["worker"] = local.ledger.services.pop("service")
        with pytest.raises(RuntimeError, match=f"still there: process {own[0].pid}, {own[1].pid}; nothing"):
            local.down()
    assert (tmp_path / "postgres").is_dir()
    cluster.LocalCluster(tmp_path).down()  # as another command: the ledger has kept them
    assert all(gone(process) for process in own)
    assert not (tmp_path / "postgres").exists()
    assert not ledger.path.exists()


def test_root_without_an_account_for_postgresql_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = loaded("postgres")
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "OWNER", "nobody-of-that-name")
    with pytest.raises(RuntimeError, match="useradd --system nobody-of-that-name"):
        postgres.user()


# -- all of it


def command(*words: str, environment: Mapping[str, str] | None = None, seconds: int = 280) -> str:
    done = subprocess.run(
        words,
        env=dict(environment or os.environ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def cluster() -> Iterator[tuple[Path, list[str], dict[str, str]]]:
    """The folder and the command of a cluster that is up, and the environment of its clients."""
    postgres = loaded("postgres")
    try:
        postgres.program("initdb")
        postgres.user()
    except RuntimeError as error:
        pytest.skip(str(error))
    # Not pytest's folder, which only its owner may enter: where this is root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="rc-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        local = [sys.executable, str(LOCAL / "cluster.py"), "--folder", folder]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYLAB_"))}
        clean["PATH"] = f"{Path(sys.executable).parent}:{clean['PATH']}"
        try:
            command(*local, "up", environment=clean, seconds=UP_SECONDS)
            lines = (Path(folder) / "environment").read_text().splitlines()
            said = (line.removeprefix("export ").split("=", 1) for line in lines)
            yield Path(folder), local, clean | dict(said)
        finally:
            for log in sorted(Path(folder).glob("*.log")):  # pytest shows it where the test has failed
                print(f"-- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
            command(*local, "down", environment=clean)


def manifests(environment: Mapping[str, str]) -> dict[str, str]:
    """Path in the store -> digest, of everything that is finished."""
    s3 = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="raylab", Prefix="store/")
    keys = [one["Key"] for page in pages for one in page.get("Contents", []) if one["Key"].endswith("/MANIFEST.json")]
    return {
        key.removeprefix("store"): json.loads(s3.get_object(Bucket="raylab", Key=key)["Body"].read())["digest"]
        for key in keys
    }


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_job_survives_its_worker_is_stopped_and_resumed_and_the_digests_are_the_laptop_s(
    tmp_path: Path, cluster: tuple[Path, list[str], dict[str, str]]
) -> None:
    folder, local, client = cluster
    own = recorded(folder / "processes.json")
    assert len(own) >= 5
    wrong = client | {"RAY_AUTH_TOKEN": "0" * 64, "RAY_AUTH_TOKEN_PATH": ""}
    refused = subprocess.run(
        ["ray", "job", "list"], env=wrong, capture_output=True, text=True, timeout=120, check=False
    )
    assert refused.returncode != 0
    assert "token is invalid" in refused.stdout + refused.stderr
    submit = ["ray", "job", "submit", "--working-dir", "."]
    job = ["--", *JOB, "--site", "configs/site/cluster-cpu.yaml"]
    command(*submit, "--no-wait", "--submission-id", "first", *job, environment=client)
    wait_for_manifests(client, 2)
    command(*local, "lose", "worker")
    wait_for_manifests(client, len(manifests(client)) + 1)
    command("ray", "job", "stop", "first", environment=client)
    assert "was stopped" in command("ray", "job", "status", "first", environment=client)
    before = manifests(client)
    command(*local, "up", seconds=UP_SECONDS)
    resumed = command(*submit, "--submission-id", "second", *job, environment=client)
    assert "succeeded" in resumed
    assert [noise for noise in NOISE if noise in resumed] == []
    after = manifests(client)
    assert 0 < len(before) < len(after)
    here = tmp_path / "laptop"
    site = tmp_path / "inline.yaml"
    site.write_text("backend: inline\ntracking: none\n")
    command(sys.executable, *JOB[1:], "--site", str(site), environment={**os.environ, "RAYLAB_HOME": str(here)})
    store = Store(str(here / "store"))
    laptop = {
        str(p).removeprefix(store.root): json.loads(p.read_text())["digest"] for p in Path(store.root).rglob("M*.json")
    }
    assert after == laptop
    # In an installed checkout the bare command is enough, and finds what is there.
    assert f"nothing to build: {RESULTS} results in the store" in command(
        "ray", "job", "submit", *job, environment=client
    )
    assert tracked(client) == ["FINISHED"] * 2  # the matrix and its one cell
    actors = listed(client, "actors")
    assert {"MapWorker(Map(ShardActor))", "wrap_function.<locals>.ImplicitFunc"}.isdisjoint(actors)
    assert any(name.startswith("training ") for name in actors)
    assert any(name.startswith("MapWorker(Map(evaluating ") for name in actors)
    command(*local, "down")
    assert all(gone(process) for process in own)


def tracked(client: Mapping[str, str]) -> list[str]:
    """How every run ended, as MLflow's server says."""
    asked = MlflowClient(client["MLFLOW_TRACKING_URI"])
    experiments = [experiment.experiment_id for experiment in asked.search_experiments()]
    return [run.info.status for run in asked.search_runs(experiments)]


def recorded(ledger: Path) -> list[psutil.Process]:
    """Those of them that run: what served a start alone, as PostgreSQL's process of a connection, may have ended."""
    known = processes.Ledger.read(ledger).services.values()
    return [process for of_one in known for one in of_one if (process := one.process())]


def wait_for_manifests(client: Mapping[str, str], count: int) -> None:
    end = time.monotonic() + 240
    while len(manifests(client)) < count:
        if time.monotonic() > end:
            raise TimeoutError(command("ray", "job", "logs", "first", environment=client)[-3000:])
        time.sleep(0.5)
