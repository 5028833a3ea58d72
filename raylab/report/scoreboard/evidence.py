"""What an experiment has measured for a row of the scoreboard.

Every experiment has a module `raylab.experiments.<room>.scoreboard` with a function `evidence` that yields these.
Names are those of `rows.yaml`: of a published quantity, of a gate, or of both.
"""

from __future__ import annotations

from typing import NamedTuple

from raylab.core.statistics import Estimate


class Evidence(NamedTuple):
    """One number of ours. Shares and differences of shares lie in [0, 1] and [-1, 1], never in percent."""

    row: int  # of rows.yaml
    name: str  # of a quantity or gate there
    ours: Estimate  # n = 0: computed, not sampled
    on: str  # what it was measured on, in words: "See-Far, mlp to mlp, L2 .8"; evidence of one run has equal ones
    protocol: str = ""  # how that differs from the published protocol (data, size, network, steps); "": it does not
    # Why a gate that fails would say nothing here: "the attack succeeds on 55 % only". By rule, from what was measured.
    undecided: str = ""
    bounds: tuple[float, float] | None = None  # a 95 % interval of its own, such as a bootstrap's; None: over seeds
    # What a reader must know beside a gate that is met: "its leakage-only set teaches 25.5 %". By rule, likewise.
    remark: str = ""
    # A run is known by its experiment, its study and `on`. Filled in where evidence of several studies meets.
    experiment: str = ""
    study: str = ""
