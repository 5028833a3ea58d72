"""The commands that KubeRay 1.7 makes of a RayJob: `ray start` of the nodes, and the submitter's script.

After its source, ray-operator/controllers/ray/common/{pod,job}.go and utils/util.go.
"""

from __future__ import annotations

import json
import math
from typing import Any

from k8s.quantities import amount

BASH, SUBMITTER_BASH = ["/bin/bash", "-c", "--"], ["/bin/bash", "-ce", "--"]
HEALTHY = (
    "python -c \"import urllib.request; r=urllib.request.urlopen('{url}', timeout=10); "
    "exit(0 if b'success' in r.read() else 1)\""
)


def node_command(kind: str, group: dict[str, Any], head: str, more: dict[str, str]) -> list[str]:
    """Command and args of the Ray container; `more` in the place of what each Pod has, and one machine once: ports."""
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    params = {
        **({"dashboard-host": "0.0.0.0"} if kind == "head" else {"address": head}),
        "metrics-export-port": "8080",
        "block": "true",
        "dashboard-agent-listen-port": "52365",
        "num-cpus": str(math.ceil(amount(limits["cpu"]))),
        "memory": str(int(amount(limits["memory"]))),
        **({"num-gpus": str(limits["nvidia.com/gpu"])} if "nvidia.com/gpu" in limits else {}),
        **group.get("rayStartParams", {}),
        **more,
    }
    flags = [
        f" --{name} " if value == "true" else f" --{name}={value} "
        for name, value in sorted(params.items())
        if value != "false"
    ]
    start = "ray start --head " if kind == "head" else "ray start "
    return [*BASH, f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {start}{''.join(flags)}"]


def waiting_command(head: str) -> list[str]:
    """Of the init container of a worker, without what it says while it waits."""
    return [*BASH, f"until ray health-check --address {head} > /dev/null 2>&1; do sleep 1; done"]


def submitter_command(spec: dict[str, Any], address: str, job_id: str) -> list[str]:
    """Command and args of the submitter: it asks first whether its job is there, for it may have been started again."""
    healthy = HEALTHY.format(url=f"{address}/api/gcs_healthz")
    words = ["until", healthy, ">/dev/null", "2>&1", ";", "do", "echo", f'"Waiting for {address} ..."', ";"]
    words += ["sleep", "2", ";", "done", ";"]
    words += ["if", "!", "ray", "job", "status", "--address", address, job_id, ">/dev/null", "2>&1", ";", "then"]
    words += ["ray", "job", "submit", "--address", address, "--no-wait"]
    if "metadata" in spec:
        words += ["--metadata-json", json.dumps(json.dumps(spec["metadata"], separators=(",", ":")))]
    words += ["--submission-id", job_id, "--", spec["entrypoint"].strip(), ";", "fi", ";"]
    words += ["ray", "job", "logs", "--address", address, "--follow", job_id]
    return [*SUBMITTER_BASH, " ".join(words)]
