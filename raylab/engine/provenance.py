"""Where a number comes from: commit, command, versions, machine. Kept beside results, never part of what they are."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from raylab.engine import code, commit
from raylab.engine.redaction import redacted

PACKAGES = ("raylab", "torch", "torchvision", "numpy", "pyarrow", "ray", "mlflow", "scikit-learn")


@lru_cache(maxsize=1)
def collect() -> dict[str, object]:
    """Of this process; a driver hands its own to the workers, whose code is the same."""
    known = commit.of()
    return {
        "commit": known.name,
        "dirty": known.dirty,
        "commit_note": known.note,
        "code": code.digest(),  # which code it was, also where nobody knows the commit
        "argv": redacted(" ".join(sys.argv)),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {_processor()}",
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
