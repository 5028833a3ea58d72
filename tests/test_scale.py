"""Requests to the store grow with the work and not faster: `python tests/scale.py` measures ten thousand of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import scale

from raylab.engine.stage import Stage

FEW, MANY, PAGE = 30, 120, 10
KINDS = ("GET", "PUT", "LIST", "DELETE")


def requests(plan: Callable[[int], dict[int, Stage]], count: int, folder: Path) -> Mapping[str, int]:
    store = scale.CountingStore(str(folder / str(count)), page=PAGE)
    return scale.measure(plan(count), store, actors=8).requests


@pytest.mark.parametrize("plan", [scale.one_set, scale.many_cells])
def test_four_times_the_work_takes_four_times_the_requests(
    plan: Callable[[int], dict[int, Stage]], tmp_path: Path
) -> None:
    few, many = (requests(plan, count, tmp_path) for count in (FEW, MANY))
    assert {name: (few[name], count) for name, count in many.items() if count > 4.5 * few[name] + PAGE} == {}
    assert many["driver GET"] >= 1


def test_a_shard_costs_the_driver_one_request(tmp_path: Path) -> None:
    few, many = (requests(scale.one_set, count, tmp_path) for count in (FEW, MANY))
    more = MANY - FEW
    # Of the part that the metrics are computed from; sidecars are told by the actor and go by the page.
    assert many["driver GET"] - few["driver GET"] == more
    pages = more // PAGE
    assert sum(many.get(f"driver {kind}", 0) - few.get(f"driver {kind}", 0) for kind in KINDS[1:]) <= 5 * pages


def test_what_is_there_costs_one_look_a_cell(tmp_path: Path) -> None:
    store = scale.CountingStore(str(tmp_path))
    scale.measure(scale.many_cells(FEW), store, actors=8)
    again = scale.measure(scale.many_cells(FEW), store, actors=8).requests
    assert {name: count for name, count in again.items() if name != "bytes read"} == {"driver GET": FEW}
