"""A job in a process of its own, what is done to it from outside, and what it leaves behind.

Only processes that were started here are ended: they and all that they start carry a mark in their environment.
"""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from thorough import WHOLE
from thorough import whole as whole  # for those who inject

from raylab.engine.artifact import MANIFEST
from raylab.engine.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MARK = "RAYLAB_FAULTS"
# A matrix that takes 8 s of one core, half of it imports: 30 artifacts in five rounds, and MLflow.
STUDY = (
    "study=faults", "data.per_class=12", "sources=[mlp]", "targets=[mlp]", "kinds=[rand]", "seeds=[0]",
    "attack.steps=3", "train.epochs=2", "controls.untrained=false", "controls.random_labels=false", "neighbours=50",
)  # fmt: skip
PATIENCE = 240.0  # seconds that an undisturbed run is given on a busy machine


Tell = Callable[[str, str, str], None]  # adds a line to the table: fault, moment, what happened


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"what the test waits for did not happen within {seconds:g} s")
        time.sleep(pause)


def times(quick: int, whole: int) -> range:
    """Seeds of the injections: few in `make test`, all in `make faults`."""
    return range(whole if WHOLE else quick)


@dataclass(frozen=True)
class Left:
    """What a home holds after a run, as far as two runs must agree."""

    digests: Mapping[str, str]  # folder of an artifact -> digest
    tables: Mapping[str, str]  # path of a CSV -> its text
    runs: Mapping[str, Sequence[str]]  # key of a run of MLflow -> the states of the runs that have it

    @classmethod
    def of(cls, home: Path, store: str = "", database: Path | None = None) -> Left:
        kept = Store(store or str(home / "store"))
        made = [kept.at(folder) for kind in kept.kinds() for folder in kept.folders(kind.rsplit("/", 1)[-1])]
        reports = home / "reports"
        return cls(
            {one.folder.removeprefix(kept.root): one.digest for one in made if one is not None and one.rows >= 0},
            {str(path.relative_to(reports)): without_seconds(path) for path in sorted(reports.rglob("*.csv"))},
            runs_of(database or home / "mlflow.db"),
        )


def without_seconds(path: Path) -> str:
    """A table but for how long things took, which no two runs agree on."""
    header, *rows = csv.reader(path.read_text().splitlines())
    kept = [place for place, name in enumerate(header) if name != "Seconds"]
    return "\n".join(",".join(row[place] for place in kept) for row in (header, *rows))


def runs_of(database: Path) -> dict[str, list[str]]:
    """States of the runs of every key in a database of MLflow; none where there is none."""
    found: dict[str, list[str]] = {}
    if not database.exists():
        return found
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = "SELECT t.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'raylab.key'"
        for key, status in connection.execute(f"{rows} WHERE r.lifecycle_stage = 'active'"):
            found.setdefault(key, []).append(status)
    return found


@dataclass
class Job:
    """A command line of raylab with a home of its own."""

    home: Path
    words: Sequence[str] = ("transfer_matrix", *STUDY)
    site: str = "backend: inline\nfree_gb: 0\n"
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()  # a program that starts it, such as taskset
    program: Sequence[str] = ("-m", "raylab", "run")  # of Python
    cwd: Path | None = None
    name: str = "site"  # of the file of its site, where two drivers share a home
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def start(self) -> subprocess.Popen[bytes]:
        self.home.mkdir(parents=True, exist_ok=True)
        site = self.home / f"{self.name}.yaml"
        if not site.exists() or site.read_text() != self.site:
            site.write_text(self.site)
        known = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV", "LANG") if name in os.environ}
        given = {
            **known,
            "PYTHONPATH": f"{HERE / 'inside'}:{HERE}:{HERE.parent}:{ROOT}",
            "RAYLAB_HOME": str(self.home),
            MARK: self.mark,
            "OMP_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RAY_USAGE_STATS_ENABLED": "0",
            **self.environment,
        }
        command = [*self.before, sys.executable, *self.program, *self.words]
        command += ["--site", str(site)] if self.site else []
        self.errors.write_bytes(b"")
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                command, stdout=errors, stderr=errors, env=given, cwd=self.cwd, preexec_fn=_hear_interrupts
            )

    @property
    def errors(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    def run(self, seconds: float = PATIENCE) -> int:
        """To its end, undisturbed; the exit code."""
        with self.start() as process:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.end()
                raise

    def said(self) -> str:
        return self.errors.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """The processes that it has started, directly or not, and that are there."""
        return [process for process in psutil.process_iter() if self._is_own(process)]

    def _is_own(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def end(self) -> int:
        """Kill what is left of it; how many there were."""
        left = self.family()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(left)

    def orphans(self, seconds: float = 60.0) -> int:
        """Processes that are still there after so many seconds; they are ended."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not self.family(), seconds, 0.2)
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                print(f"still there: {process.pid} {process.status()} {' '.join(process.cmdline())}")
        return self.end()


@contextlib.contextmanager
def ended(job: Job) -> Iterator[Job]:
    """Whatever a test does, nothing of its job outlives it."""
    try:
        yield job
    finally:
        job.end()


def _hear_interrupts() -> None:
    """Also where the tests run in a background that does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished_work(home: Path) -> dict[Path, int]:
    """When what is finished was written: manifests, and parts that have a sidecar."""
    store = home / "store"
    parts = [path.parent.parent / path.name.removesuffix(".json") for path in store.glob("*/*/progress/part-*.json")]
    return {path: path.stat().st_mtime_ns for path in (*store.glob(f"*/*/{MANIFEST}"), *parts)}


def is_as_it_was(done: Mapping[Path, int]) -> bool:
    """Whether nothing of finished work was written again."""
    return all(path.stat().st_mtime_ns == written for path, written in done.items())


def unfinished_files(folder: Path) -> list[str]:
    """What only a write in progress leaves: temporary names, and attempts without a manifest that names them."""
    left = [str(path) for path in folder.rglob("*.tmp-*")]
    attempts = [path for path in folder.glob("store/*/*/attempt-*") if not (path.parent / MANIFEST).exists()]
    return sorted([*left, *map(str, attempts)])
