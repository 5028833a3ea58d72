"""Rows and matrices made by hand, for the tests of what is said and drawn of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raylab.core.statistics import Coefficient, Correlation, Estimate
from raylab.recipes.transfer_matrix import TransferMatrix
from raylab.report.transfer.matrix import TRANSFER, Matrix, Point, RobustSource, Row

CLASSES = tuple("0123456789")


def estimate(mean: float, se: float = 0.01, n: int = 300, seeds: int = 3) -> Estimate:
    return Estimate(mean, se, n, seeds)


def row(source: str = "mlp", target: str = "mlp", kind: str = "rand", **changed: Any) -> Row:
    """88 % against 10 % of unperturbed images, unless changed."""
    plain = Row(
        source,
        target,
        kind,
        by_seed={
            0: estimate(0.87, n=100, seeds=1),
            1: estimate(0.88, n=100, seeds=1),
            2: estimate(0.89, n=100, seeds=1),
        },
        accuracy=estimate(0.88),
        p1=estimate(0.02),
        success=estimate(0.6),
        success_other=estimate(0.6),
        controls={"unperturbed": estimate(0.1)},
        above={"unperturbed": estimate(0.78)},
        neighbours_original=estimate(0.9),
        neighbours_target=estimate(0.05),
        controls_by_seed={},
        transfer={TRANSFER: estimate(0.4), f"{TRANSFER}_given_fooled": estimate(0.6)},
        transfer_by_seed={},
        usage={},
    )
    return replace(plain, **changed)


def robust(**changed: Any) -> RobustSource:
    """A source that the attack leads to its target in 3 % of the images, unless changed."""
    plain = RobustSource(accuracy=estimate(0.85), withstands=estimate(0.8), success=estimate(0.03), p1=estimate(0.6))
    return replace(plain, **changed)


def strong(**changed: Any) -> Row:
    """A det row that is evidence, unless changed."""
    controls = {"unperturbed": estimate(0.01), "robust": estimate(0.1)}
    plain = row(
        kind="det",
        success=estimate(0.9),
        above_p1=estimate(0.86),
        controls=controls,
        above={"unperturbed": estimate(0.87), "robust": estimate(0.78)},
        transfer={TRANSFER: estimate(0.7), f"{TRANSFER}_given_fooled": estimate(0.75)},
        robust=robust(),
    )
    return replace(plain, **changed)


def above(name: str, mean: float, se: float) -> dict[str, Any]:
    """Changes that make one control and the difference to it."""
    return {"controls": {name: estimate(0.1)}, "above": {name: estimate(mean, se)}}


def matrix(rows: Sequence[Row], **config: Any) -> Matrix:
    """A matrix of these rows, without artifacts."""
    kinds = tuple(dict.fromkeys(r.kind for r in rows))
    sources = tuple(dict.fromkeys(r.source for r in rows))
    targets = tuple(dict.fromkeys(r.target for r in rows))
    r = Coefficient(0.5, 0.1, 0.9)
    points = [
        Point(one.kind, one.source, one.target, seed, one.transfer[TRANSFER].mean, got.mean)
        for one in rows
        for seed, got in one.by_seed.items()
    ]
    return Matrix(
        TransferMatrix(**{"sources": sources, "targets": targets, "kinds": kinds, **config}),
        "0" * 64,
        "",
        CLASSES,
        tuple(rows),
        {name: estimate(0.95) for name in targets},
        {name: estimate(0.95) for name in sources},
        {name: {} for name in targets},
        dict.fromkeys(targets, ()),
        estimate(0.98),
        {kind: {view: Correlation(r, r, len(points)) for view in ("pooled", "within_source")} for kind in kinds},
        tuple(points),
        {},
        {},
    )
