"""What `ray job submit --working-dir .` uploads, by Ray's own function: what a job runs, and nothing beside it."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEFT_HERE = {"tests", "k8s", ".ci", "docs"}  # of what git keeps


@pytest.fixture(scope="module")
def kept() -> list[str]:
    """The files that git keeps, or those of the folders that count where there is no git."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    folders = ("raylab", "jobs", "configs", "tests", "k8s")
    return [str(p.relative_to(ROOT)) for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]


def uploaded(checkout: Path, to: Path) -> set[str]:
    from ray._private.runtime_env.packaging import create_package

    create_package(str(checkout), to, include_gitignore=True)
    with zipfile.ZipFile(to) as package:
        return {name for name in package.namelist() if not name.endswith("/")}


@pytest.fixture
def checkout(tmp_path: Path, kept: list[str]) -> Path:
    folder = tmp_path / "checkout"
    for name in {*kept, ".rayignore", ".gitignore"}:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


def test_everything_that_a_job_runs_is_uploaded(checkout: Path, kept: list[str], tmp_path: Path) -> None:
    wanted = {name for name in kept if Path(name).parts[0] not in LEFT_HERE}
    assert uploaded(checkout, tmp_path / "package.zip") == wanted | {".rayignore", ".gitignore"}
    some = {"raylab/data/embedded.py", "raylab/engine/store.py", "jobs/erm.py", "configs/site/cluster-cpu.yaml"}
    assert some <= wanted


BESIDE = (
    ".git/objects/ab/cd",
    ".venv/lib/python3.11/site-packages/torch/big.so",
    "venv/bin/python",
    "env/bin/python",
    ".env",
    "data/cifar10/train.bin",
    "results/small/index.html",
    "store/network/abc/MANIFEST.json",
    "reports/erm.html",
    ".raylab/cluster/token",
    "mlruns/0/meta.yaml",
    "mlflow.db",
    "raylab/core/weights.pt",
    "raylab/__pycache__/cli.cpython-311.pyc",
    "constructed.parquet",
    "token",
    "me.pem",
)


@pytest.mark.parametrize("linked", [False, True], ids=["made here", "linked"])
def test_data_results_environments_and_keys_stay_here(checkout: Path, tmp_path: Path, linked: bool) -> None:
    before = uploaded(checkout, tmp_path / "before.zip")
    for name in BESIDE:
        target = checkout / name
        if linked and len(Path(name).parts) > 1 and not (checkout / Path(name).parts[0]).exists():
            elsewhere = tmp_path / "elsewhere" / Path(name).parts[0]
            elsewhere.mkdir(parents=True)
            (checkout / Path(name).parts[0]).symlink_to(elsewhere)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x" * 100)
    assert uploaded(checkout, tmp_path / "after.zip") == before
