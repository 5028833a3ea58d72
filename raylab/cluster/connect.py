"""Joining the Ray cluster that RAY_ADDRESS names, or starting one here that ends with the driver."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import ray

# A driver's environment is not inherited by the workers of a running cluster.
PROPAGATED = (
    "RAYLAB_HOME",
    "RAYLAB_DATA",
    "RAYLAB_COMMIT",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "GOOGLE_APPLICATION_CREDENTIALS",
)
OBJECT_STORE_BYTES = 200 * 2**20  # rows are pointers to shards: a local cluster needs next to nothing


def connect(cpus: int | None, gpus: int | None = None) -> None:
    """Join the cluster of RAY_ADDRESS, or start one with `cpus` (None: all) and `gpus` (None: those present).

    A session that this process already has is used as it is. Raises ConnectionError with a remedy where the cluster of
    RAY_ADDRESS cannot be joined.
    """
    if ray.is_initialized():
        return
    injected = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    given = injected.get("runtime_env", {}).get("env_vars", {})  # the same name twice is a ValueError of Ray's
    passed = {n: os.environ[n] for n in PROPAGATED if n in os.environ and n not in given}
    runtime_env = {"env_vars": passed} if passed else None
    address = os.environ.get("RAY_ADDRESS")
    handler = signal.getsignal(signal.SIGTERM)
    if not address:
        # "local": a bare init() would join any cluster that Ray's temporary folder names.
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            namespace="raylab",
            logging_level="warning",
            log_to_driver=False,
            runtime_env=runtime_env,
        )
        _keep(handler)
        return
    try:
        ray.init(address=address, namespace="raylab", logging_level="warning", runtime_env=runtime_env)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConnectionError(
            f"RAY_ADDRESS={address}: no Ray cluster can be joined there ({error}); start one, or unset RAY_ADDRESS to "
            "use this machine, and where the cluster asks for a token set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error
    _keep(handler)


def _keep(handler: Any) -> None:
    """The driver's own handler of SIGTERM again: Ray's, put by init, loses the exit code inside its calls, and the one
    below it aborts the process 3 s later, however it is cleaning up (ray-project/ray, pull request 64830)."""
    if handler not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def assigned_device() -> str:
    """The device of the calling worker: CUDA exactly where Ray has assigned it a GPU.

    Not `torch.cuda.is_available()`: a worker without an assigned GPU still sees those of its node.
    """
    return "cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu"
