"""One Ray cluster for all tests of this process, and the real data where it is at hand."""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before Ray is imported: it reads these once. The token is given, so that none is written to the home folder.
os.environ.update(
    {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
    }
)
os.environ.pop("RAY_ADDRESS", None)

import pytest

if TYPE_CHECKING:
    from raylab.engine.store import Store
    from raylab.tracking.mlflow.tracker import MlflowTracker

TESTS = Path(__file__).parent
PRETENDED_GPUS = 2
# Files that start clusters of their own; and those that start processes, train networks or simulate for more than a few
# seconds, besides those of whole folders.
CLUSTERS = (
    "connect", "kills", "local_cluster", "ray_faults", "rendered_processes", "secrets", "submission", "surroundings",
    "trials",
)  # fmt: skip
SLOW = (
    "adversary", "config_fuzz", "coverage", "every_job", "hits", "invert", "jobs", "cli",
    "mlflow_database", "mlflow_places", "mlflow_processes", "quantities", "remote", "stop",
)  # fmt: skip


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Four CPUs and two GPUs that exist only in Ray's books: counts are tokens, so nothing waits for a free core."""
    import ray

    import raylab.cluster.connect  # noqa: F401  (its environment before Ray's import)

    # A short folder: the path of a Unix socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="rl-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=PRETENDED_GPUS,
            include_dashboard=False,
            object_store_memory=150 * 2**20,
            log_to_driver=False,
            _temp_dir=folder,
            namespace="raylab",
            # Workers import the toy stages of tests/toy.py, and this checkout where another one is installed.
            runtime_env={"env_vars": {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}},
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets: RAYLAB_DATA, or ../shared/data beside the checkout."""
    root = Path(os.environ.get("RAYLAB_DATA") or TESTS.parent.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip(f"no data root at {root}; set RAYLAB_DATA to a folder with MNIST, FashionMNIST, cifar10")
    return root


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of MLflow. Making one takes a second of migrations: made once, copied for every test."""
    from raylab.tracking.mlflow.tracker import MlflowTracker

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowTracker(f"sqlite:///{path}", None).check()
    return path


@pytest.fixture
def tracker(empty_database: Path, tmp_path: Path) -> MlflowTracker:
    from raylab.tracking.mlflow.tracker import MlflowTracker

    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return MlflowTracker(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "files"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's results."""
    monkeypatch.setenv("RAYLAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(autouse=True)
def _floats_as_they_are(request: pytest.FixtureRequest) -> None:
    """A stage that ran in this process before flushes denormal numbers, which Hypothesis draws."""
    if request.path.name.endswith("_fuzz.py") and "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a site where jobs run in this process and are tracked nowhere; they take it without being told."""
    path = tmp_path / "site.yaml"
    path.write_text("backend: inline\ntracking: none\n")
    monkeypatch.setenv("RAYLAB_SITE", str(path))
    return path


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook, and used to come before this one
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the tests by groups, the longest groups first: what is in one group never runs at once.

    One has what uses the common cluster, one what starts clusters of its own: two of these at a time are enough for two
    cores. None ends a process that it has not started, nor uses a port that it has not been given.
    """
    clusters = {f"test_{name}.py" for name in CLUSTERS}
    slow = {f"test_{name}.py" for name in (*SLOW, *CLUSTERS)}
    rank: dict[str, int] = {}  # of groups
    for item in items:
        folder, fixtures = item.path.parent.name, getattr(item, "fixturenames", ())
        own, common = item.path.name in clusters, "ray_cluster" in fixtures
        group = (
            "common cluster"
            if common
            else "clusters"
            if own
            else folder
            if folder in ("faults", "report")
            else item.path.name
        )
        item.add_marker(pytest.mark.xdist_group(group))
        is_slow = own or common or folder in ("experiments", "faults", "sweep", "stages") or item.path.name in slow
        if is_slow:
            item.add_marker(pytest.mark.slow)
        rank[group] = min(rank.get(group, 9), 0 if own or common else 1 if is_slow else 2)
    items.sort(key=lambda item: rank[next(item.iter_markers("xdist_group")).args[0]])


def pytest_collection_finish(session: pytest.Session) -> None:
    """pytest-xdist 3.8 loses the groups under pytest 9.2, without a word."""
    lost = [item.nodeid for item in session.items if "@" not in item.nodeid]
    if getattr(session.config.option, "loadgroup", False) and lost:
        raise pytest.UsageError(f"{lost[0]}: it is in no group of pytest-xdist; install what constraints.txt pins")


@pytest.fixture(scope="session")
def report_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One for all tests that need a small study of their own."""
    from raylab.engine.store import Store

    return Store(str(tmp_path_factory.mktemp("report") / "store"))


@pytest.fixture
def somebodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module of somebody's own, again and again, and gives the reference to its `mine`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> str:
        (tmp_path / "somebodys.py").write_text(f"import numpy as np\nimport torch\n{source}\n")
        importlib.invalidate_caches()
        sys.modules.pop("somebodys", None)
        return "somebodys:mine"

    yield write
    sys.modules.pop("somebodys", None)
