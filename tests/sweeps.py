"""A sweep that takes seconds, and a driver of it that tests can end: python sweeps.py STORE KIND [inline]."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray as ray_package

from raylab.cluster.backend import RayBackend
from raylab.config import load
from raylab.engine.backend import Backend
from raylab.engine.runner import InlineBackend
from raylab.engine.search import Numbers, TrialReporter
from raylab.engine.space import Point
from raylab.engine.store import Store
from raylab.report import terminal
from raylab.site import Site, SiteFile
from raylab.sweep import report
from raylab.sweep.config import Sweep
from raylab.sweep.prepare import prepare
from raylab.sweep.records import TrialRecord
from raylab.sweep.results import SweepResults
from raylab.sweep.run import run, search, share
from raylab.sweep.space import Prepared
from raylab.tracking import NullTracker, Tracker

CONFIGS = Path(__file__).parent.parent / "configs"
STUDENT = {"role": "student", "kind": "det", "control": ""}
BASE: dict[str, Any] = {
    "data": {"name": "digits", "train_rows": 300},
    "sources": ["mlp"],
    "targets": ["mlp"],
    "kinds": ["det"],
    "seeds": [0],
    "attack": {"norm": "l2", "eps": 1.5, "steps": 4, "step_size": 0.5},
    "train": {"epochs": 3, "lr": 0.002, "schedule": "constant"},
    "controls": {"unperturbed": False, "random_labels": False, "untrained": False, "robust": None, "leakage": None},
    "robustness": None,
    "neighbours": 0,
}
OBJECTIVE = {"name": "D_det", "cell": STUDENT}
SWEEP: dict[str, Any] = {
    "study": "tiny",
    "experiment": "transfer_matrix",
    "config": BASE,
    "space": {"students.det.lr": {"loguniform": [1e-4, 3e-2]}, "students.det.epochs": {"integers": [1, 4]}},
    "trials": 6,
    "objectives": [OBJECTIVE],
    "final": {"seeds": [7, 8]},
}
ASHA = {
    "scheduler": {"name": "asha", "grace": 2, "reduction": 2},
    "space": {"students.det.lr": {"grid": [1e-2, 1e-5, 2e-5, 3e-5, 4e-5]}},
    "config": {**BASE, "students": {"det": {"epochs": 12, "schedule": "constant"}}},
    "sampler": "grid",
    "trials": None,
    "final": None,
}

PBT = {
    "scheduler": {"name": "pbt", "interval": 4},
    "space": {"students.det.lr": {"loguniform": [1e-5, 1e-2]}, "students.det.weight_decay": {"choice": [0.0, 0.1]}},
    "config": {**BASE, "students": {"det": {"epochs": 8, "schedule": "constant"}}},
    "trials": 4,
    "final": {"seeds": [7]},
}

KINDS: dict[str, dict[str, Any]] = {
    "random": {},
    "slow": {"trials": 8, "space": {"students.det.lr": {"loguniform": [1e-4, 3e-2]}}, "final": None},
    "grid": {
        "space": {"students.det.lr": {"grid": [1e-3, 1e-2]}, "students.det.batch_size": {"grid": [32, 64]}},
        "sampler": "grid",
        "trials": None,
        "final": None,
    },
    "asha": ASHA,
    "pbt": PBT,
}


@dataclass(frozen=True)
class ToyBody:
    """Trials without networks, some of which misbehave: 1 is killed always, 2 once, 3 has nan, 5 raises what no trial
    should."""

    folder: str
    seconds: float = 0.0

    def __call__(self, number: int, point: Point, device: str, reporter: TrialReporter) -> Numbers:
        del device
        trace, started = Path(self.folder) / f"starts-{number}", time.time()
        starts = len(trace.read_text()) if trace.exists() else 0
        trace.write_text("x" * (starts + 1))
        if number == 1 or (number == 2 and not starts):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 5:
            raise KeyError("nobody expected this")
        value = math.nan if number == 3 else float(point["x"])
        reporter.report({"y": value, "epoch": 1, "violations": [], "error": None}, lambda: b"state")
        time.sleep(self.seconds)
        if self.seconds:
            assigned = ray_package.get_runtime_context().get_assigned_resources()
            (Path(self.folder) / f"span-{number}").write_text(json.dumps([started, time.time(), assigned]))
        return {"y": value, "epoch": 1, "violations": [], "error": "it went wrong" if number == 3 else None}


@dataclass(frozen=True)
class PopulationBody:
    """Eight epochs, each worth the x of its trial at the time."""

    def __call__(self, number: int, point: Point, device: str, reporter: TrialReporter) -> Numbers:
        del number, device
        kept = reporter.resume()
        history: list[float] = json.loads(kept) if kept else []
        for epoch in range(len(history) + 1, 9):
            history.append(point["x"])
            if epoch < 8:
                reporter.report(_worth(history, epoch), lambda: json.dumps(history).encode())
        return _worth(history, 8)


@dataclass(frozen=True)
class CountingBody:
    """Four epochs of the same worth, each noted."""

    folder: str

    def __call__(self, number: int, point: Point, device: str, reporter: TrialReporter) -> Numbers:
        del device
        numbers = {"y": point["x"], "violations": [], "error": None}
        for epoch in range(1, 5):
            with (Path(self.folder) / f"epochs-{number}").open("a") as seen:
                seen.write(f"{epoch} ")
            reporter.report({**numbers, "epoch": epoch}, lambda: b"")
        return {**numbers, "epoch": 4}


def _worth(history: list[float], epoch: int) -> Numbers:
    return {"y": sum(history), "epoch": epoch, "violations": [], "error": None, "history": list(history)}


def sweep(**changes: Any) -> Sweep:
    return load(Sweep, as_yaml({**SWEEP, **changes}), origin="sweep")


def as_yaml(values: dict[str, Any]) -> str:
    return json.dumps(values)


def prepared(**changes: Any) -> Prepared:
    return prepare(sweep(**changes), CONFIGS)


def page(results: SweepResults) -> str:
    return report.page(results, report.report(results))


def text(results: SweepResults) -> str:
    """Everything that a terminal may show."""
    return terminal.as_text(report.report(results), full=True)


def site(folder: Path, backend: Backend | None = None, tracker: Tracker | None = None) -> Site:
    store = Store(str(folder / "store"))
    file = SiteFile(backend="ray" if isinstance(backend, RayBackend) else "inline")
    return Site(file, store, backend or InlineBackend(), tracker or NullTracker(), folder / "reports")


def ray(**trials: Any) -> RayBackend:
    asked = {"max_concurrent": 2, "gpus": 0, **trials}
    return RayBackend(SiteFile.model_validate({"trials": asked, "actors": {"gpus": 0}}), 0)


def searched_on_ray(prepared: Prepared, folder: Path, **trials: Any) -> tuple[TrialRecord, ...]:
    """Tune has the trials alone: what they share, and what comes after them, needs no cluster."""
    share(prepared, set(), site(folder))
    return search(prepared, site(folder, ray(**trials)))


def after_ray(folder: Path) -> Site:
    return replace(site(folder), file=SiteFile(backend="ray"))


if __name__ == "__main__":
    os.environ["RAYLAB_HOME"] = sys.argv[1]
    run(prepared(**KINDS[sys.argv[2]]), site(Path(sys.argv[1]), None if sys.argv[3:] == ["inline"] else ray()))
