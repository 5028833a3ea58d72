"""What the transfer matrix measures of one case, and its verdict: all that worlds know of that experiment's results."""

from __future__ import annotations

from collections.abc import Mapping

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate
from raylab.recipes.transfer_matrix import Cell, TransferMatrix
from raylab.report.transfer.matrix import TRANSFER, Row, measured
from raylab.report.transfer.verdict import RULE, Code, Thresholds, lacks, verdict

__all__ = ["RULE", "Cell", "Code", "Row", "Thresholds", "TransferMatrix", "code", "failed_conditions", "numbers", "row"]


def row(case: TransferMatrix, key: str, artifacts: Mapping[Cell, Artifact]) -> Row:
    """The one row of its matrix."""
    return measured(case, key, artifacts).rows[0]


def code(of: Row, case: TransferMatrix, rule: Thresholds = RULE) -> Code:
    """The verdict that every transfer matrix gets."""
    return verdict(of, case.data, None, rule).code


def failed_conditions(of: Row) -> tuple[str, ...]:
    """What keeps a row from being evidence: half sentences."""
    return tuple(lacks(of))


def numbers(of: Row) -> dict[str, Estimate]:
    """By the headers of a table."""
    assert of.robust is not None  # a case has the control
    return {
        "Accuracy": of.accuracy,
        "Next-class rate (p1)": of.p1,
        "Attack success rate": of.success,
        "On the robust source": of.robust.success,
        "Accuracy when trained on its set": of.controls["robust"],
        "Targeted transfer": of.transfer[TRANSFER],
        "Non-robust feature turned": of.usage["toogit_is_target"],
        "Robust feature kept": of.usage["shape_kept"],
    }
