"""What the transfer matrix measures of one case, and its verdict: all that worlds know of that experiment's results."""

from __future__ import annotations

from collections.abc import Mapping

from raylab.engine.artifact import Artifact
from raylab.engine.study import Built
from raylab.experiments import transfer
from raylab.experiments.transfer import EVIDENCE, RULE, TRANSFER, Cell, Row, Thresholds, TransferMatrix
from raylab.report.per_seed import PerSeed

__all__ = ["RULE", "Cell", "Row", "Thresholds", "TransferMatrix", "code", "failed_conditions", "numbers", "row"]

CLAIMED = EVIDENCE.words


def row(case: TransferMatrix, key: str, artifacts: Mapping[Cell, Artifact]) -> Row:
    """The one row of its matrix."""
    return transfer.measure(Built(case, key, artifacts)).rows[0]


def code(of: Row, rule: Thresholds = RULE) -> str:
    """The badge of the verdict that every transfer matrix gets: "evidence", or another."""
    return transfer.verdict(of, rule=rule).badge.words


def failed_conditions(of: Row) -> tuple[str, ...]:
    """What keeps a row from being evidence: half sentences."""
    return tuple(f"{one.words} ({one.numbers})" if one.numbers else one.words for one in transfer.failed_conditions(of))


def numbers(of: Row) -> dict[str, PerSeed]:
    """By the headers of a table."""
    assert of.robust is not None  # a case has the control
    return {
        "Accuracy": of.accuracy,
        "Next-class rate (p1)": of.p1,
        "Attack success rate": of.success,
        "On the robust source": of.robust.success,
        "Accuracy when trained on its set": of.controls["robust"],
        "Targeted transfer": of.transfer[TRANSFER],
        "Non-robust feature turned": of.oracles["turned"],
        "Robust feature kept": of.oracles["kept"],
    }
