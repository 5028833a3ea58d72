"""Where a number comes from: commit, command, versions, machine. Kept beside results, never part of what they are."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("raylab", "torch", "torchvision", "numpy", "pyarrow", "ray", "mlflow", "scikit-learn")


@lru_cache(maxsize=1)
def collect() -> dict[str, object]:
    """Of this process; a driver hands its own to the workers, whose code is the same."""
    commit, dirty = _commit()
    return {
        "commit": commit,
        "dirty": dirty,
        "argv": " ".join(sys.argv),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {_processor()}",
    }


def _commit() -> tuple[str, bool | None]:
    """The commit of the code that runs, and whether it was changed since; from RAYLAB_COMMIT where there is no git."""
    folder = Path(__file__).resolve().parent.parent
    try:
        if not (folder / ".git").exists():
            raise FileNotFoundError
        head = _git(folder, "rev-parse", "HEAD")
        return head, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("RAYLAB_COMMIT", "unknown"), None


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


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
