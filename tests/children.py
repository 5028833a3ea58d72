"""Children of a study's run in the tracker: what `mlflow.search_runs` finds without reading our docs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import toy

from raylab.config import load
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, Study
from raylab.report.experiments import EXPERIMENTS
from raylab.tracking import Record

KEYS = ("network", "set", "artifact")  # params that are keys of artifacts, which say nothing to people


def study(name: str, path: str, home: Path) -> AnyBuilt:
    """What a job has left in its store, of the config at a path."""
    experiment = EXPERIMENTS[name]
    config = load(experiment.config, Path(path))
    cells = experiment.plan(config)
    built = runner.build(cells, Store(str(home / "store")), InlineBackend(), recorder := toy.Recorder())
    assert recorder.built_labels == []
    one = Study(config, cells)
    return one.built({(one.key, cell): artifact for cell, artifact in built.items()})


def assert_distinct(children: Sequence[Record], count: int) -> None:
    """So many, each with a key and params of its own."""
    assert len(children) == count
    for of in (lambda child: child.key, lambda child: tuple(sorted(child.params.items()))):
        assert len({of(child) for child in children}) == count


def assert_told_apart(built: AnyBuilt, name: str) -> None:
    """Params name each child for people, and its network, or what else has its numbers, by key."""
    children = EXPERIMENTS[name].children(built)
    assert children
    told = Counter(
        tuple((param, value) for param, value in sorted(one.params.items()) if param not in KEYS) for one in children
    )
    assert [params for params, count in told.items() if count > 1] == []
    assert [one.name for one in children if not {"network", "artifact"} & set(one.params)] == []
