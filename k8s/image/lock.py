"""The image's requirements with the hash of every file: from pyproject.toml and the tested versions of constraints.txt.

    python k8s/image/lock.py [UV]      # uv (https://docs.astral.sh/uv) asks PyPI; the hash of the CPU wheel stays

requirements.txt is common to both variants; requirements-cuda.txt has PyTorch of PyPI with its CUDA libraries. PyTorch
for CPUs is not on PyPI but on download.pytorch.org: requirements-cpu.txt is written by hand, one line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = "setuptools==84.2.1\n"  # builds raylab itself, without fetching anything unlocked
CUDA = re.compile(r"(torch==|triton==|nvidia-|cuda-)")


def main() -> None:
    uv = sys.argv[1] if len(sys.argv) > 1 else "uv"
    command = [uv, "pip", "compile", "--no-config", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--extra", "cluster", "-c", "constraints.txt"]
    done = subprocess.run(
        [*command, "pyproject.toml", "-"], input=BUILD, cwd=ROOT, capture_output=True, text=True, check=True
    )
    locked = [entry for entry in re.split(r"\n(?=\S)", done.stdout.strip()) if "==" in entry]
    for name, wanted in (("requirements.txt", False), ("requirements-cuda.txt", True)):
        chosen = [entry for entry in locked if bool(CUDA.match(entry)) is wanted]
        (ROOT / "k8s" / "image" / name).write_text("# Written by k8s/image/lock.py.\n" + "\n".join(chosen) + "\n")
        print(f"{name}: {len(chosen)} packages")


if __name__ == "__main__":
    main()
