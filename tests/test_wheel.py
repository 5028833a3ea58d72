"""The built wheel in an environment without a checkout: the command runs the tiny matrix, from another directory.

The libraries are this environment's, by a path file, as `make peers` has them; the package comes from the wheel alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PARTS = ("raylab", "configs", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PARTS:  # a build writes beside what it packs
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name, **({"symlinks": True} if copy is shutil.copytree else {}))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(folder)]
    subprocess.run([*pip, *wheel], check=True)
    venv.create(folder / "venv", symlinks=True)
    libraries = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    Path(libraries, "libraries.pth").write_text(sysconfig.get_path("purelib"))
    (built,) = folder.glob("*.whl")
    here = ["--python", str(folder / "venv" / "bin" / "python")]
    subprocess.run([*pip, *here, "install", "--no-deps", "--no-index", "--ignore-installed", str(built)], check=True)
    return folder / "venv" / "bin"


def ran(binaries: Path, folder: Path, *command: str) -> str:
    """What a command says in a folder, with a home there and without this checkout."""
    without = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "RAYLAB_"))}
    environment = {**without, "RAYLAB_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    words = [str(binaries / command[0]), *command[1:]]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_of_the_wheel_runs_the_tiny_matrix_from_another_directory(binaries: Path, tmp_path: Path) -> None:
    package = ran(binaries, tmp_path, "python", "-c", "import raylab; print(raylab.__file__)").strip()
    assert Path(package).is_relative_to(binaries.parent)
    shown = ran(binaries, tmp_path, "raylab", "run", "transfer_matrix", "tiny.yaml", "--site", "inline")
    assert "Accuracy of students" in shown
    assert (tmp_path / "home" / "reports" / "transfer_matrix.html").is_file()
    listed = ran(binaries, tmp_path, "raylab", "store", "ls")
    assert "tiny" in listed
