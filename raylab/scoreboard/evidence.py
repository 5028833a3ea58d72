"""What an experiment has measured for a row of the scoreboard.

Every experiment has a module `raylab.experiments.<room>.scoreboard` with a function `evidence` that yields these.
Names are those of `rows.yaml`: of a published quantity, of a directional criterion, or of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from raylab.core.statistics import Estimate
from raylab.report.per_seed import PerSeed


class Evidence(NamedTuple):
    """One number of ours. Shares and differences of shares lie in [0, 1] and [-1, 1], never in percent."""

    row: int  # of rows.yaml
    name: str  # of a quantity or directional criterion there
    ours: Estimate  # n = 0: computed, not sampled
    on: str  # what it was measured on, in words: "See-Far, mlp to mlp, L2 .8"; evidence of one run has equal ones
    protocol: str = ""  # how that differs from the published protocol (data, size, network, steps); "": it does not
    # Why a criterion that fails would say nothing here: "the attack success rate is 55 % only". By rule.
    undecided: str = ""
    bounds: tuple[float, float] | None = None  # a 95 % interval of its own, such as a bootstrap's; None: over seeds
    # What a reader must know beside a criterion that is met: "a student of its leakage-only set reaches 25.5 %".
    remark: str = ""
    # A run is known by its experiment, its study and `on`. Filled in where evidence of several studies meets.
    experiment: str = ""
    study: str = ""


def measured(
    row: int, on: str, protocol: str, numbers: Mapping[str, PerSeed], undecided: str = ""
) -> Iterator[Evidence]:
    """Evidence of those numbers of a row, by their names there, that were measured."""
    for name, of in numbers.items():
        if of:
            yield Evidence(row, name, of.mean, on, protocol, undecided)
