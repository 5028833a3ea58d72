"""What other thresholds of the verdict would have said: by hand-made cases."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from rows import robust, shares, strong

from raylab.experiments.transfer import RULE, Thresholds, TransferMatrix
from raylab.experiments.worlds import WorldStudy
from raylab.experiments.worlds.measure import JudgedCase, Truth, code
from raylab.experiments.worlds.thresholds import CARRIES, FLIPS, STANDS, best, tried
from raylab.stages.dataset import SeeFarData

CONFIG = TransferMatrix(data=SeeFarData(name="seefar"), sources=("mlp",), targets=("mlp",))


def case(name: str, truth: Truth, **changed: Any) -> JudgedCase:
    row = strong(**changed)
    return JudgedCase(name, CONFIG, row, truth, code(row), ())


CASES = (
    case("a", "turned"),
    case("b", "turned", success=shares(0.2), robust=robust(success=shares(0.01))),
    case("c", "without", success=shares(0.12), robust=robust(success=shares(0.01))),
    case("d", "without", robust=robust(success=shares(0.4))),
    case("e", "robust_turns", robust=None),
    case("f", "partly"),
)


def test_false_claims_and_power_are_counted_for_each_rule() -> None:
    today, lower, lowest = tried(CASES, (RULE, Thresholds(flips=0.2), Thresholds(flips=0.1, stands=0.5)))
    assert [(t.false.hits, t.power.hits) for t in (today, lower, lowest)] == [(0, 2), (0, 1), (2, 2)]
    assert today.rule == Thresholds(flips=0.2), "fewest false claims first, then most power"
    assert (today.false.n, today.power.n, today.partly.n) == (3, 2, 1)
    assert code(CASES[1].row) != "evidence"
    assert code(CASES[1].row, Thresholds(flips=0.2)) == "evidence"


def test_the_grid_holds_the_rule_of_today_which_is_always_shown() -> None:
    found = tried(CASES)
    assert len(found) == len(FLIPS) * len(STANDS) * len(CARRIES)
    shown = best(found)
    assert RULE in [one.rule for one in shown]
    assert shown[0].false.hits == 0
    assert shown[0].power.hits == 2


def test_thresholds_are_never_chosen_on_held_out_worlds() -> None:
    assert WorldStudy(thresholds=True).thresholds
    with pytest.raises(ValidationError, match="for split calibration alone, got held_out"):
        WorldStudy(split="held_out", thresholds=True)
