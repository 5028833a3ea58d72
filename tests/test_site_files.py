"""The site files that are shipped, and what a site says without one."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raylab import cli
from raylab import site as module
from raylab.config import load
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.report.terminal import preview
from raylab.site import Site, SiteFile
from raylab.stages.images import ImageSpec
from raylab.stages.recipe import Recipe
from raylab.stages.training import train
from raylab.tracking import NullTracker

ROOT = Path(__file__).parent.parent
SITES = {path.stem: path for path in (ROOT / "configs" / "site").glob("*.yaml")}
GB = 2**30


def shipped(name: str) -> SiteFile:
    return load(SiteFile, SITES[name])


@pytest.mark.parametrize("name", sorted(SITES))
def test_every_shipped_site_is_valid_and_opens_with_what_it_is_for(name: str) -> None:
    shipped(name)
    assert re.match(r"# [A-Z].{30}", SITES[name].read_text())


def test_every_site_that_is_named_anywhere_is_shipped() -> None:
    texts = [ROOT / "README.md", *(ROOT / "jobs").glob("*.py")]
    texts += [path for path in (ROOT / "k8s").rglob("*") if path.suffix in (".yaml", ".md", ".py")]
    named = {
        (path.name, name) for path in texts for name in re.findall(r"configs/site/([\w-]+)\.yaml", path.read_text())
    }
    assert named
    assert not {(path, name) for path, name in named if name not in SITES}


def test_the_laptop_s_file_says_what_happens_without_any() -> None:
    assert shipped("laptop") == SiteFile()


@pytest.mark.parametrize("name", ["cluster-cpu", "cluster-gpu"])
def test_a_cluster_s_store_is_no_folder_of_one_node(name: str) -> None:
    assert shipped(name).store_uri.startswith("s3://")


def test_actors_and_trials_of_the_autoscaled_site_ask_for_the_same_number_of_gpus() -> None:
    site = shipped("cluster-gpu")
    assert site.autoscaling
    assert site.actors.max is not None
    assert site.trials.max_concurrent is not None
    assert site.actors.max * (site.actors.gpus or 0) == site.trials.max_concurrent * (site.trials.gpus or 0) == 8


def test_store_and_tracker_follow_the_file_then_the_environment_then_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYLAB_HOME", str(tmp_path))
    assert SiteFile().store_uri == str(tmp_path / "store")
    assert SiteFile().tracking_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert SiteFile().tracking_uri == "http://mlflow:5000"
    assert SiteFile(tracking="none").tracking_uri == "none"


def test_a_home_is_found_where_no_shell_has_looked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAYLAB_HOME", "~/lab")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert SiteFile().store_uri == str(tmp_path / "lab" / "store")
    assert SiteFile().tracking_uri == f"sqlite:///{tmp_path}/lab/mlflow.db"
    assert Store(SiteFile(store="~/results").store_uri).root == f"{tmp_path}/results"
    assert SiteFile(tracking="sqlite:///~/mine/mlflow.db").tracking_uri == f"sqlite:///{tmp_path}/mine/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///~/runs.db")
    assert SiteFile().tracking_uri == f"sqlite:///{tmp_path}/runs.db"
    for other in ("http://mlflow/~someone", "sqlite:////data/~/mlflow.db", "sqlite:///mlflow~.db"):
        assert SiteFile(tracking=other).tracking_uri == other


def opened(file: SiteFile, home: Path) -> Site:
    return Site(file, Store(file.store or str(home / "store")), InlineBackend(), NullTracker(), home / "reports")


def test_a_disk_that_is_nearly_full_is_told_of_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    asked: list[Path] = []

    def usage(path: Any) -> SimpleNamespace:
        asked.append(Path(path))
        return SimpleNamespace(free=0.5 * GB)

    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    with pytest.raises(ValueError, match=r"^free space: .*reports has 0.5 GB, free_gb asks for 1; .*lower it$") as told:
        opened(SiteFile(), tmp_path / "home").check_space()
    assert "\n" not in str(told.value)  # store, pages and temporary files share this disk
    enough = opened(SiteFile(free_gb=0.25), tmp_path / "home")
    enough.check_space(GB // 2)
    with pytest.raises(ValueError, match=r"has 0.5 GB, a training maps .*, of at least 0.6 GB; .* set TMPDIR"):
        enough.check_space(GB * 6 // 10)
    assert all(path.is_dir() for path in asked)  # also where the home is not made yet


def test_a_training_that_a_disk_has_no_room_for_is_told_beforehand_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 224 x 224 pixels; bytes at least, and float32 where the set is constructed. What is built needs none."""
    images, count, site = ImageSpec((3, 224, 224), 9, (0.5,) * 3, (0.5,) * 3), 257_748, opened(SiteFile(), tmp_path)
    of_bytes, of_floats = (
        train("linear", Recipe(), Stage(kind, 1, 0, {}), images, 0, rows=count, name="x")
        for kind in ("data", "constructed")
    )
    assert (of_bytes.room, of_floats.room) == (count * 150_528, 4 * count * 150_528)
    assert "maps its images from a file of at least 36.1 GB below TMPDIR" in preview({"x": of_bytes}, site.store)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=40 * GB))
    assert list(cli._obstacles(site, {}, [of_bytes])) == []
    (line,) = cli._obstacles(site, {}, [of_bytes, of_floats])
    assert "has 40.0 GB, a training maps its images from a file there, of at least 144.5 GB; make space" in line


def test_a_home_in_a_folder_that_nobody_else_may_enter_is_told_of_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    site = opened(SiteFile(free_gb=0), tmp_path / "locked" / "home")
    with monkeypatch.context() as locked:
        locked.setattr(Path, "is_dir", refused)  # what it does there where a process is not root
        site.check_space()
    monkeypatch.setattr(Site, "check_space", refused)
    (line,) = cli._obstacles(site, {}, [])
    assert "Permission denied" in line
