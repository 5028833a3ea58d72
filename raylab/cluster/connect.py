"""Joining the Ray cluster that RAY_ADDRESS names, or starting one here that ends with the driver."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig

from raylab import stop
from raylab.cluster import reach
from raylab.cluster.quiet import without_core_lines
from raylab.engine.redaction import excerpt, redacted

# Workers of a cluster that is started here inherit the driver's environment; those of a running one do not.
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
LONGEST = 300  # characters of Ray's words
OBJECT_STORE_BYTES = 200 * 2**20  # rows are pointers to shards: a local cluster needs next to nothing


def connect(cpus: int | None, gpus: int | None = None, work: str = "") -> None:
    """Join the cluster of RAY_ADDRESS, or start one with `cpus` (None: all) and `gpus` (None: those present).

    `work`: what the driver computes, for Ray's list of jobs; "": the name of its script. A submitted job keeps the name
    of its submission. A session that this process already has is used as it is. Raises ConnectionError with a remedy
    where no cluster can be joined or started.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    handler = signal.getsignal(signal.SIGTERM)
    common = {
        "namespace": "raylab",
        "logging_level": "warning",
        "job_config": JobConfig(metadata={"job_name": work or Path(sys.argv[0]).stem}),
    }
    if address:
        _join(address, common)
    else:
        _start(cpus, gpus, common)
    if handler not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
        # The driver's own handler of SIGTERM again: Ray's, put by init, loses the exit code inside its calls, and the
        # one below it aborts the process 3 s later, however it is cleaning up (ray-project/ray, pull request 64830).
        signal.signal(signal.SIGTERM, handler)


def _join(address: str, common: Mapping[str, Any]) -> None:
    runtime_env = {"worker_process_setup_hook": _set_up(_passed())}
    try:
        reach.check(address)
        with without_core_lines():
            ray.init(address=address, runtime_env=runtime_env, **common)
    except Exception as error:  # of whatever kind: Ray has no common one for this
        raise ConnectionError(
            f"RAY_ADDRESS={redacted(address)}: no Ray cluster can be joined there ({_line(error, address)}); start "
            "one, or unset RAY_ADDRESS to use this machine, and where the cluster asks for a token set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error


def _start(cpus: int | None, gpus: int | None, common: Mapping[str, Any]) -> None:
    try:
        with without_core_lines():
            # "local": a bare init() would join any cluster that Ray's temporary folder names.
            ray.init(
                address="local",
                num_cpus=cpus,
                num_gpus=gpus,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                **common,
            )
    except Exception as error:
        ray.shutdown()  # ends what had already started
        raise ConnectionError(
            f"Ray could not be started on this machine ({_line(error)}); what Ray itself says is in the newest session "
            f"of {reach.temporary_folder()}; try again when the machine is less busy, or do without Ray: "
            "`backend: inline` in the site file (--site configs/site/inline.yaml)"
        ) from error


def _passed() -> dict[str, str]:
    """What the workers of a running cluster lack of the driver's environment. What the job was submitted with comes
    first: its workers have it already."""
    injected = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    given = injected.get("runtime_env", {}).get("env_vars", {})
    return {name: os.environ[name] for name in PROPAGATED if name in os.environ and name not in given}


def _set_up(passed: Mapping[str, str]) -> Callable[[], None]:
    """A function for every new worker: the driver's environment, and a quiet end where Ray's SIGTERM falls into a
    finaliser.

    Not `env_vars` of the runtime environment: Ray writes those into the logs of all nodes, readable by everybody there,
    while a function travels through the head's memory and is logged by its name. It travels by value, for a node that
    lacks raylab is to be told so by the check of nodes.
    """
    values, unraisable = dict(passed), stop.asking_again(SystemExit, lambda what: sys.__unraisablehook__(what), [])

    def take_the_environment_of_the_driver() -> None:
        os.environ.update(values)
        sys.unraisablehook = unraisable

    return take_the_environment_of_the_driver


def _line(error: BaseException, *uris: str) -> str:
    """In one line, not as long as Ray's own; these two kinds of error say what they are."""
    kind = "" if type(error) in (ConnectionError, ValueError) else f"{type(error).__name__}: "
    return f"{kind}{excerpt(str(error), LONGEST, *uris)}"


def assigned_device() -> str:
    """The device of the calling worker: CUDA exactly where Ray has assigned it a GPU.

    Not `torch.cuda.is_available()`: a worker without an assigned GPU still sees those of its node.
    """
    return "cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu"
