"""Named quantities of small worlds: what they are is kept beside them, and survives what is made of them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs import artifact

from raylab.core.statistics import ANYTHING, Estimate, proportion
from raylab.engine import columns
from raylab.engine.artifact import Artifact
from raylab.engine.stage import TaskContext
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter
from raylab.experiments.theory.measure import together, with_excess
from raylab.stages.quantities import exact, read_quantities, share, write


def stored(store: Store, found: dict[str, Estimate], without: tuple[str, ...] = ()) -> Artifact:
    files = list[bytes]()
    write(TaskContext({}, "cpu", lambda *part: files.append(part[1]), NullReporter()), iter(found.items()))
    batch = columns.to_batch(pq.read_table(io.BytesIO(*files)))
    return artifact(store, "worlds", {name: column for name, column in batch.items() if name not in without}, {})


# A number whose error happens to be that of a share: nothing but what is stored can tell.
FOUND = {
    "accuracy": share(0.75, 100),
    "cosine": Estimate(0.5, proportion(50, 100).se, 100, 1),
    "all": share(1.0, 100),
    "kappa": exact(3.0),
    "learned": Estimate(0.2, math.nan, 50, 1),
}


def test_a_share_is_a_share_because_it_was_written_as_one(tmp_path: Path) -> None:
    read = read_quantities(stored(Store(str(tmp_path)), FOUND))
    assert list(read) == list(FOUND)
    for name, one in read.items():
        assert (one.mean, one.n, one.within) == (FOUND[name].mean, FOUND[name].n, FOUND[name].within)
        assert one.se == pytest.approx(FOUND[name].se, nan_ok=True)
    assert read["cosine"].within == ANYTHING


def test_a_table_from_before_bounds_were_written_is_read_as_before(tmp_path: Path) -> None:
    read = read_quantities(stored(Store(str(tmp_path)), FOUND, without=("low", "high")))
    assert [read[name].within for name in ("accuracy", "all")] == [(0.0, 1.0)] * 2
    assert [read[name].within for name in ("kappa", "learned")] == [ANYTHING] * 2


def test_how_far_accuracies_lie_from_their_closed_form_has_an_interval_where_all_seeds_agree() -> None:
    """Three seeds of 100 hits in 100: without its bounds the distance had no interval at all."""
    seeds = {seed: with_excess({"d": share(1.0, 100), "d expected": exact(0.9)}) for seed in range(3)}
    over = together(seeds)["d excess"].mean
    assert over.mean == pytest.approx(0.1)
    assert over.interval is not None
    low, high = over.interval
    whole = together(seeds)["d"].mean.interval
    assert whole is not None
    assert (low, high) == pytest.approx(tuple(np.array(whole) - 0.9))
    assert low < high == pytest.approx(0.1)
