"""Whether Ray can start here, or be reached there: in seconds, where Ray itself tries for a quarter of an hour."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ray._common.utils import get_default_ray_temp_dir
from ray._private import services

CONNECT_SECONDS = 5
ANSWER_SECONDS = 15  # of a head that is busy
SOCKET_BYTES = 107  # of a Unix socket's path (sun_path of 108, less its zero)
# Below Ray's folder: a session by date, time and process id (at most 7 digits), and the longest name of a socket in it.
SOCKET = "/session_2026-01-31_12-00-00_000000_4194304/sockets/plasma_store"
# There is no public way to ask a head for a sign of life (`ray health-check` is this too, with a longer patience).
ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def temporary_folder() -> str:
    """Where Ray keeps its sockets and logs: below RAY_TMPDIR, else TMPDIR, else /tmp."""
    return str(get_default_ray_temp_dir())


def check_temporary_folder() -> None:
    """Raises ValueError where Ray's sockets cannot lie in its temporary folder."""
    folder = temporary_folder()
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "/tmp")
    room = SOCKET_BYTES - len(SOCKET) - len("/ray")
    if len(os.fsencode(folder)) > SOCKET_BYTES - len(SOCKET):
        raise ValueError(
            f"{name}: Ray's sockets lie below {folder}, whose path is too long for a socket; set RAY_TMPDIR to a "
            f"folder of at most {room} characters, as RAY_TMPDIR=/tmp"
        )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{name}: Ray cannot write its sockets and logs below {folder} ({error}); set RAY_TMPDIR to a folder that "
            "can be written, as RAY_TMPDIR=/tmp"
        ) from error


def check(address: str) -> None:
    """Raises ConnectionError or ValueError where no head of a cluster answers at RAY_ADDRESS."""
    scheme, separator, place = address.rpartition("://")
    if scheme == "ray":  # takes its job's settings as JSON, and what hands over the environment is a function
        raise ValueError(
            "Ray's client cannot hand the driver's credentials to the workers; from a machine of the cluster's network "
            "use host:6379 of the head, from outside submit the job with `ray job submit`"
        )
    if separator:
        raise ValueError(
            f"it is host:port of a head, not a page; what begins with {scheme}:// belongs into RAY_API_SERVER_ADDRESS"
        )
    if address == "local":
        return
    if address == "auto":  # the cluster that was started last on this machine, which may have ended since
        place = services.canonicalize_bootstrap_address(address)
    host, _, port = place.strip("/").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("it is host:port of a head, as 10.0.0.1:6379")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
        pass
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ASK, place], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ConnectionError(f"something listens there, but no head of Ray's answers in {ANSWER_SECONDS} s") from error
    if asked.returncode:
        raise ConnectionError((asked.stderr.strip().splitlines() or ["no answer"])[-1])
