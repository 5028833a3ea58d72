"""Credentials are planted wherever people keep them, and nothing that a run writes may hold one."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from test_mlflow_processes import server  # noqa: F401  (a fixture)

ROOT = Path(__file__).parent.parent
JOB = ["jobs/transfer_matrix.py", "study=secret", "sources=[mlp]", "targets=[mlp]", "kinds=[rand]", "seeds=[0]"]
JOB += ["data.per_class=20", "train.epochs=2", "attack.steps=3", "controls.untrained=false", "neighbours=0"]
JOB += ["controls.random_labels=false", "controls.robust=null", "controls.leakage=null", "robustness=null"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Bucket:
    """A stand-in for S3 with one bucket, "raylab"."""

    def __init__(self, port: int) -> None:
        self.place = f"127.0.0.1:{port}"
        own = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
        self._client = boto3.client("s3", endpoint_url=f"http://{self.place}", **own)
        self._client.create_bucket(Bucket="raylab")

    def everything(self) -> dict[str, bytes]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="raylab")
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self._client.get_object(Bucket="raylab", Key=key)["Body"].read() for key in keys}


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    service = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    service.start()
    try:
        yield Bucket(port)
    finally:
        service.stop()


def holding(planted: Mapping[str, str], where: str, data: bytes) -> list[str]:
    """Which of the secrets are in the data."""
    return [f"{name} in {where}" for name, secret in planted.items() if secret.encode() in data]


def in_folder(planted: Mapping[str, str], folder: Path) -> list[str]:
    found, looked = list[str](), 0
    for path in folder.rglob("*"):
        if path.is_symlink() or not stat.S_ISREG(path.stat().st_mode):
            continue
        looked += 1
        found += holding(planted, str(path.relative_to(folder)), path.read_bytes())
    assert looked
    return found


def test_nothing_that_a_local_run_on_ray_writes_holds_a_credential(
    tmp_path: Path,
    server: str,  # noqa: F811
    bucket: Bucket,
) -> None:
    planted = {
        "AWS key": f"AKIA{secrets.token_hex(8).upper()}",
        "AWS secret": secrets.token_hex(20),
        "AWS session": secrets.token_hex(20),
        "GCP key": secrets.token_hex(20),
        "MLflow token": secrets.token_hex(20),
        "MLflow password": secrets.token_hex(20),
        "Ray token": secrets.token_hex(32),
        "tracker password": secrets.token_hex(20),
        "database password": secrets.token_hex(20),
    }
    gcp, home, site = tmp_path / "gcp.json", tmp_path / "home", tmp_path / "site.yaml"
    gcp.write_text(json.dumps({"type": "service_account", "private_key": planted["GCP key"]}))
    site.write_text(
        f"store: s3://raylab/store?scheme=http&region=us-east-1&endpoint_override={bucket.place}\n"
        f"tracking: http://me:{planted['tracker password']}@{server.removeprefix('http://')}\n"
        "cpus: 2\n"
    )
    # A short folder: the path of a Unix socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_"))}
        environment |= {
            "AWS_ACCESS_KEY_ID": planted["AWS key"],
            "AWS_SECRET_ACCESS_KEY": planted["AWS secret"],
            "AWS_SESSION_TOKEN": planted["AWS session"],
            "GOOGLE_APPLICATION_CREDENTIALS": str(gcp),
            "MLFLOW_TRACKING_TOKEN": planted["MLflow token"],
            "MLFLOW_TRACKING_USERNAME": "me",
            "MLFLOW_TRACKING_PASSWORD": planted["MLflow password"],
            # The site file names another tracker; the variable goes wherever the environment goes.
            "MLFLOW_TRACKING_URI": f"postgresql://me:{planted['database password']}@{bucket.place}/mlflow",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": planted["Ray token"],
            "RAY_TMPDIR": folder,
            "RAYLAB_HOME": str(home),
            "HOME": str(tmp_path / "user"),
        }
        done = subprocess.run(
            [sys.executable, *JOB, "--site", str(site)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert "store     s3://raylab/store?" in done.stderr
        assert "tracking  MLflow at http://***@127.0.0.1:" in done.stdout
        said = holding(planted, "stdout", done.stdout.encode()) + holding(planted, "stderr", done.stderr.encode())
        written = in_folder(planted, Path(folder))
    gcp.unlink()
    site.unlink()
    assert said + written + in_folder(planted, tmp_path) == []
    stored = bucket.everything()
    assert stored
    assert [one for key, data in stored.items() for one in holding(planted, key, data)] == []
