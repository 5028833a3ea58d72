"""Rows and matrices made by hand, for the tests of what is said and drawn of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raylab.core.statistics import Estimate
from raylab.engine.study import Built
from raylab.experiments.transfer import Matrix, Row, TransferMatrix
from raylab.experiments.transfer.measure import ERRS, TRANSFER, RobustNetwork
from raylab.report.per_seed import PerSeed

CLASSES = tuple("0123456789")


def estimate(mean: float, se: float = 0.01, n: int = 300, seeds: int = 3) -> Estimate:
    return Estimate(mean, se, n, seeds)


def shares(mean: float, se: float = 0.01) -> PerSeed:
    """Of three seeds with this mean and this standard error over them."""
    by_seed = enumerate((mean - math.sqrt(3) * se, mean, mean + math.sqrt(3) * se))
    return PerSeed({seed: Estimate(one, 0.03, 100, 1) for seed, one in by_seed})


ACCURACY = shares(0.88)


def below(mean: float, se: float = 0.01, of: PerSeed = ACCURACY) -> PerSeed:
    """What lies so far below another number, the difference known to so much."""
    return PerSeed({seed: replace(one, mean=of[seed].mean - one.mean) for seed, one in shares(mean, se).items()})


def rates(targeted: float) -> dict[str, PerSeed]:
    found = {TRANSFER: shares(targeted), f"{TRANSFER}_given_fooled": shares(min(1.0, targeted + 0.1))}
    return found | {ERRS: shares(min(1.0, targeted + 0.2))}


def row(source: str = "mlp", target: str = "mlp", kind: str = "rand", **changed: Any) -> Row:
    """88 % against 10 % of unperturbed images, unless changed."""
    plain = Row(
        source,
        target,
        kind,
        accuracy=ACCURACY,
        p1=shares(0.02, 0.02),
        success=shares(0.6),
        success_other=shares(0.6),
        controls={"unperturbed": below(0.78)},
        transfer=rates(0.4),
        neighbours_original=shares(0.9),
        neighbours_target=shares(0.05),
    )
    return replace(plain, **changed)


def robust(**changed: Any) -> RobustNetwork:
    """A source on which the attack succeeds in 3 % of the images, unless changed."""
    plain = RobustNetwork(accuracy=shares(0.85), robust_accuracy=shares(0.8), success=shares(0.03), p1=shares(0.6))
    return replace(plain, **changed)


def strong(**changed: Any) -> Row:
    """A det row that is evidence, unless changed."""
    controls = {"unperturbed": below(0.87), "robust": below(0.78)}
    plain = row(
        kind="det", success=shares(0.9), p1=below(0.86), controls=controls, transfer=rates(0.7), robust=robust()
    )
    return replace(plain, **changed)


def beside(name: str, mean: float, se: float) -> dict[str, Any]:
    """Changes that make one control, so far below the student."""
    return {"controls": {name: below(mean, se)}}


def matrix(rows: Sequence[Row], **config: Any) -> Matrix:
    """A matrix of these rows, without artifacts."""
    kinds = tuple(dict.fromkeys(r.kind for r in rows))
    sources = tuple(dict.fromkeys(r.source for r in rows))
    targets = tuple(dict.fromkeys(r.target for r in rows))
    given = TransferMatrix(**{"sources": sources, "targets": targets, "kinds": kinds, **config})
    return Matrix(
        Built(given, "0" * 64, {}),
        "",
        CLASSES,
        1437,
        tuple(rows),
        standard={name: shares(0.95) for name in targets},
        sources={name: shares(0.95) for name in sources},
        robustness={name: {} for name in targets},
        warnings=dict.fromkeys(targets, ()),
        neighbours_clean=shares(0.98),
    )


def with_config(made: Matrix, config: TransferMatrix) -> Matrix:
    return replace(made, built=replace(made.built, config=config))
