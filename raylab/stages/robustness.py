"""Robust accuracy of a network: PGD and the ensemble side by side, other sets of perturbations, and doubts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import masking, robust
from raylab.core.balls import BALLS, Ball, Norm
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier
from raylab.core.robust import CLEAN, SQUARE, SetName
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.identity import ADDED_LATER
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import ImageSpec, drawn, to_tensor
from raylab.stages.weights import load_network


class Ensemble(Config):
    """AutoAttack "standard" without FAB: APGD on two losses, and Square."""

    steps: Annotated[int, Field(ge=1, le=10_000)] = 100  # steps of APGD, on each of its two losses
    queries: Annotated[int, Field(ge=1, le=100_000)] = 5000  # queries of Square


class Robustness(Config):
    """How a network is attacked, in pixel units of [0, 1]."""

    norm: Norm = "l2"  # norm of the ball
    eps: Annotated[tuple[Radius, ...], Field(min_length=1)] = (0.25, 0.5)  # radii, increasing
    # Steps of PGD, each of 2.5 eps / steps (MadryLab/robustness).
    pgd_steps: Annotated[int, Field(ge=1, le=10_000)] = 20
    restarts: Annotated[int, Field(ge=1, le=100)] = 1  # starts of PGD, the first at the image itself
    # Which iterate of PGD decides; None: that of highest loss (MadryLab/robustness). any_iterate: an image is broken
    # where any of them breaks it, and leaves at once: sooner, and never a higher robust accuracy.
    pgd_score: Annotated[Literal["any_iterate"] | None, ADDED_LATER] = None
    ensemble: Ensemble | None = Ensemble()
    ensemble_eps: tuple[Radius, ...] | None = None  # radii at which the ensemble attacks too; None: all of eps
    # Sizes by set: pixels of shift, degrees of rotation, else the norm.  PGD alone, or all of a grid of motions.
    others: dict[SetName, Radius] = Field(default={})
    rows: Annotated[int, Field(ge=1)] | None = None  # so many images, drawn by id; None: all

    @model_validator(mode="after")
    def _eps(self) -> Robustness:
        if any(one >= two for one, two in pairwise(self.eps)):
            raise ValueError(f"eps: increasing, got {list(self.eps)}; sort them")
        if self.norm == "linf" and max(self.eps) >= 1:
            raise ValueError(
                f"eps: an Linf radius below 1, which allows every image, got {max(self.eps):g}; "
                f"for {max(self.eps):g} of 255 levels write {max(self.eps):g}/255"
            )
        return self

    @model_validator(mode="after")
    def _ensemble_eps(self) -> Robustness:
        if not set(self.ensemble_eps or ()) <= set(self.eps):
            raise ValueError(f"ensemble_eps: some of eps {list(self.eps)}, got {list(self.ensemble_eps or ())}")
        return self

    @model_validator(mode="after")
    def _others(self) -> Robustness:
        if self.others.get("shift", 1) % 1:
            raise ValueError(f"others.shift: whole pixels, got {self.others['shift']}; half a pixel would blur")
        return self

    @property
    def judged(self) -> tuple[bool, ...]:
        """Of every eps: whether the ensemble is asked."""
        asked = self.eps if self.ensemble_eps is None else self.ensemble_eps
        return tuple(self.ensemble is not None and eps in asked for eps in self.eps)

    def ball(self, eps: float) -> Ball:
        return BALLS[self.norm](eps)


def measure(
    config: Robustness,
    network: Classifier,  # in eval mode with frozen parameters
    x: Tensor,  # (B, C, H, W) float32, in [0, 1]
    label: Tensor,  # (B,) int64
    ids: NDArray[np.int64],  # (B,)
    seed: int,
) -> Batch:
    """By example, and (B, E) by eps: margins, all of them above 0 where the network withstands; nan: not asked."""

    def worst(attacks: Mapping[str, robust.Attack]) -> robust.Worst:
        return robust.worst_case(network, x, label, ids, attacks)

    how = (seed, config.pgd_steps, config.restarts, config.pgd_score or "best_loss")

    def pgd(eps: float) -> Tensor:
        return worst(robust.pgd(config.ball(eps), *how)).margin

    with torch.no_grad():
        logits, again = network(x), network(x)
    clean = worst({}).margin
    found = {name: x.new_full((len(x), len(config.eps)), torch.nan) for name in ("pgd", "ensemble", "apgd", "square")}
    for k, (eps, judged) in enumerate(zip(config.eps, config.judged, strict=True)):
        found["pgd"][:, k] = pgd(eps)
        if judged and config.ensemble is not None:
            e = config.ensemble
            one = worst(robust.standard(config.ball(eps), logits.shape[1], seed, e.steps, e.queries))
            found["ensemble"][:, k], found["square"][:, k] = one.margin, one.margins[SQUARE]
            apgd = [margin for name, margin in one.margins.items() if name not in (CLEAN, SQUARE)]
            found["apgd"][:, k] = torch.stack(apgd).amin(dim=0)
    columns = {
        "clean_margin": clean,
        "pgd_margin": found["pgd"],
        "ensemble_margin": found["ensemble"],
        # Who found what: PGD and APGD, and Square, which is only asked about what APGD left (else inf).
        "gradient_margin": torch.fmin(torch.fmin(found["pgd"], found["apgd"]), clean[:, None]),
        "black_box_margin": found["square"],
        "free_margin": pgd(_free(config, x.shape[1:])),  # of PGD in a ball that allows every image
        "gradient_size": masking.gradient_size(network, x, label),
    }
    for name, size in config.others.items():
        columns[f"{name}_margin"] = worst(robust.among(name, size, *how)).margin
    return {
        "id": ids,
        "label": label.cpu().numpy(),
        **{name: column.float().cpu().numpy() for name, column in columns.items()},
        "repeat_difference": masking.difference(logits.cpu().numpy(), again.cpu().numpy()).astype(np.float32),
    }


def summarise(config: Robustness, rows: Mapping[str, NDArray[Any]]) -> Metrics:
    """Shares of the same n images.  The one that counts is `robust`: of each image the worst of PGD and ensemble."""
    n = len(rows["id"])
    if n == 0:
        raise ValueError("robustness: no images")
    pgd, ensemble = rows["pgd_margin"] > 0, rows["ensemble_margin"] > 0
    both = np.fmin(rows["pgd_margin"], rows["ensemble_margin"]) > 0
    return {
        "n": n,
        "clean": _share(rows["clean_margin"] > 0),
        "eps": config.eps,
        "pgd": tuple(map(_share, pgd.T)),
        "ensemble": tuple(_share(c) if judged else None for c, judged in zip(ensemble.T, config.judged, strict=True)),
        "robust": tuple(map(_share, both.T)),
        "others": {name: _share(rows[f"{name}_margin"] > 0) for name in config.others},
        "warnings": doubts(config, rows),
    }


def doubts(config: Robustness, rows: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """What says that the attacks were blinded, not withstood; of one kind the first eps alone."""
    judged = [(k, eps) for k, eps in enumerate(config.eps) if config.judged[k]]
    stands = np.vstack([rows["pgd_margin"].T, rows["free_margin"]]) > 0
    by_eps = [
        [
            (eps, masking.black_box_wins(rows["gradient_margin"][:, k], rows["black_box_margin"][:, k]))
            for k, eps in judged
        ],
        [
            (eps, masking.ensemble_below(stands[k].mean(), (rows["ensemble_margin"][:, k] > 0).mean()))
            for k, eps in judged
        ],
    ]
    found = [
        masking.zero_gradients(rows["gradient_size"] == 0),
        masking.random_output(rows["repeat_difference"]),
        *(next((f"{said} (eps {eps:g})" for eps, said in kind if said), None) for kind in by_eps),
        masking.accuracy_stays([*config.eps, math.inf], stands),
    ]
    return tuple(said for said in found if said is not None)


@dataclass(frozen=True)
class _Robustly:
    """The identity of a measurement, beside its network and data."""

    doing = ("attacking", "network")
    over = "data"
    robustness: Robustness
    seed: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        config, seed = self.robustness, self.seed
        network = load_network(inputs["model"], device)
        chosen = drawn(inputs["drawn_from"], config.rows, seed, "robustness/rows") if config.rows is not None else None

        def judge(batch: Batch) -> Batch:
            taken = slice(None) if chosen is None else np.isin(batch["id"], chosen)
            x = to_tensor(batch["image"][taken], device)
            label = torch.from_numpy(batch["label"][taken].astype(np.int64)).to(device)
            return measure(config, network, x, label, batch["id"][taken].astype(np.int64), seed)

        return judge

    def summarise(self, artifact: Artifact) -> Metrics:
        return summarise(self.robustness, artifact.batch())


def robustness(
    config: Robustness,
    model: Stage,
    data: Stage,
    images: ImageSpec,
    seed: int,
    compute: Compute,
    *,
    rows: int,
    name: str,
) -> Stage:
    """Robust accuracy of `model` on `data` (`rows` images, of which config.rows are drawn).

    Raises ValueError where a radius allows every image, or more images are to be drawn than there are.
    """
    check(config, images.shape)
    if config.rows is not None and config.rows > rows:
        raise ValueError(f"robustness: rows at most the {rows} images of {data.label}, got {config.rows}; null: all")
    identity = _Robustly(config, seed, compute.measuring)
    # The same data once more: which of all ids are drawn is known before the first shard.
    inputs = {"data": data, "model": model} | ({"drawn_from": data} if config.rows is not None else {})
    passes = min(rows, config.rows or rows) * _passes(config)
    return Stage("robustness", 2, identity, inputs, name, passes)


def check(config: Robustness, shape: Sequence[int]) -> None:
    """Raises ValueError where a radius allows every image of the shape (C, H, W)."""
    if max(config.eps) >= _free(config, shape):
        raise ValueError(
            f"robustness: eps below {_free(config, shape):.4g}, which allows every image, got {max(config.eps)}"
        )
    whole = math.sqrt(math.prod(shape))
    everything = {"linf": 1.0, "shift": min(shape[1:]), "rotate": 180.0, "l1": whole**2}
    for kind, size in config.others.items():
        if size >= (limit := everything.get(kind, whole)):
            raise ValueError(f"robustness: others.{kind}: below {limit:.4g}, which allows everything, got {size}")


def _free(config: Robustness, shape: Sequence[int]) -> float:
    """The radius of a ball around any image that holds all others."""
    return BALLS[config.norm].whole(shape)


def _passes(config: Robustness) -> int:
    """Of an image: an estimate, as if half of what stands before an attack stands after it."""
    pgd = config.pgd_steps * (len(config.eps) + 1 + len(config.others))
    ensemble = 0 if config.ensemble is None else 2 * config.ensemble.steps + config.ensemble.queries // 10
    return pgd + ensemble * sum(config.judged)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean())
