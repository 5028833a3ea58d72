"""Constructed data sets: every image perturbed towards a class by a source network and labelled with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import masking, objectives
from raylab.core.apgd import WEIGHT
from raylab.core.balls import Ball
from raylab.core.construct import Kind, targets
from raylab.core.later import torch
from raylab.core.objectives import Classifier
from raylab.core.pgd import cosine, descend
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.identity import ADDED_LATER
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.attacked import attacked, check_precision
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.norm import BallName, ball, pinned_norm
from raylab.stages.weights import load_network

Aim = Kind | Literal["own", "untargeted"]  # own: towards the class that an image has
MEMBER = "ensemble"  # roles: ensemble0, ensemble1, ...
LAST_SHARE, MOMENTUM = 0.02, 1.0 - WEIGHT  # of a cosine schedule: the last step in radii, and APGD's momentum


class Attack(Config):
    """Projected gradient descent on an image, in pixel units of [0, 1] (Ilyas et al. 2019, appendix C.5)."""

    norm: BallName = "l2"  # norm of the ball: l2, linf, or module:object of one's own
    eps: Radius = 1.0  # radius of the ball around an image
    steps: Annotated[int, Field(ge=1, le=100_000)] = 20  # steps of gradient descent
    # Length of a step; None: 2.5 eps / steps. Of the cosine schedule that of the first step; None: eps.
    step_size: Radius | None = None
    # Keep the iterate of lowest loss (MadryLab/robustness), or the last (the paper is silent).
    iterate: Literal["best", "last"] = "best"
    # None: all steps are equal, as published. Cosine: they fall to eps / 50, with the momentum of APGD; thirty of them
    # reach about the loss of a hundred equal ones.
    schedule: Annotated[Literal["cosine"] | None, ADDED_LATER] = None

    @model_validator(mode="after")
    def _check(self) -> Attack:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(
                f"eps: pixels lie in [0, 1], so an Linf radius is at most 1, got {self.eps:g}; "
                f"for {self.eps:g} of 255 levels write {self.eps:g}/255"
            )
        if self.step_size is not None and self.step_size * self.steps < self.eps:
            raise ValueError(
                f"step_size: {self.steps} steps of {self.step_size} cannot reach the radius eps={self.eps}; "
                f"take at least {self.eps / self.steps:.3g}"
            )
        return self

    @property
    def ball(self) -> Ball:
        return ball(self.norm, self.eps)

    def pinned(self, images: ImageSpec) -> Attack:
        """With the code of a ball of one's own. Raises ValueError where it is none on such images."""
        return self.model_copy(update={"norm": pinned_norm(self.norm, self.eps, images)})

    @property
    def step(self) -> float:
        """Length of the first step."""
        usual = self.eps if self.schedule == "cosine" else 2.5 * self.eps / self.steps
        return usual if self.step_size is None else self.step_size

    @property
    def step_sizes(self) -> list[float]:
        """Of every step."""
        if self.schedule is None:
            return [self.step] * self.steps
        return cosine(self.step, min(self.step, LAST_SHARE * self.eps), self.steps)

    @property
    def momentum(self) -> float:
        """What the last move weighs in a step."""
        return 0.0 if self.schedule is None else MOMENTUM


@dataclass(frozen=True)
class Construction:
    """The identity of a constructed set, beside its data and its source network."""

    doing = ("constructing", "data set")
    over = "data"
    aim: Aim
    attack: Attack
    num_classes: int
    seed: int  # of the targets
    split: str
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        precision, roles = self.compute.precision, [role for role in sorted(inputs) if role.startswith(MEMBER)]
        network = load_network(inputs["model"], device)
        through = attacked(network, inputs["model"], precision)
        ensemble = [attacked(load_network(inputs[role], device), inputs[role], precision) for role in roles]
        return partial(perturbed, self, network, ensemble, device, through=through)

    def summarise(self, artifact: Artifact) -> Metrics:
        return summarise(self.aim, artifact.without_images())


def perturbed(
    c: Construction,
    network: Classifier,  # in eval mode with frozen parameters, as those of the ensemble
    ensemble: Sequence[Classifier],
    device: str,  # of all of them
    batch: Batch,  # with columns id, image, label
    *,
    through: Classifier | None = None,  # what gradients are taken of: the network compiled; None: the network
) -> Batch:
    """The images of the batch perturbed towards (or away from) their classes, with what the source makes of them."""
    through = network if through is None else through
    ids, label = batch["id"].astype(np.int64), batch["label"].astype(np.int64)
    x, own = to_tensor(batch["image"], device), torch.from_numpy(label).to(device)
    if c.aim == "untargeted":
        target, wanted, objective = label, own, objectives.away(through, own)
    else:
        target = label if c.aim == "own" else targets(c.aim, label, ids, c.num_classes, c.seed, c.split)
        wanted = torch.from_numpy(target).to(device)
        objective = objectives.towards(through, wanted)
    if ensemble:
        objective = objectives.spared(objectives.cross_entropy(through, wanted), ensemble, own)
    ended = descend(objective, x, c.attack.ball, c.attack.step_sizes, c.attack.steps, momentum=c.attack.momentum)
    best = c.attack.iterate == "best"
    image, loss = (ended.best, ended.best_loss) if best else (ended.last, ended.last_loss)
    with torch.inference_mode():
        logits, other = network(image), network(ended.last if best else ended.best)
    return {
        "id": ids,
        "image": image.contiguous().cpu().numpy(),
        "label": target,
        "source_label": label,
        "source_prediction": logits.argmax(1).cpu().numpy(),
        "other_prediction": other.argmax(1).cpu().numpy(),  # on the iterate that was not kept
        "loss": loss.cpu().numpy(),  # what the attack minimised: log-odds, or with an ensemble cross-entropies
        "blind": ended.blind.cpu().numpy(),
        # Of the source on the constructed image, as Jordan sorts D_other (cifar10-zoo, run4_subset.py).
        "margin": objectives.margin(logits, wanted).cpu().numpy(),
        **truths(batch),
    }


def summarise(aim: Aim, rows: Batch) -> Metrics:
    """Success: the source says the target, of the `n` examples whose target is another class than their own.

    Own: it says their class, of all.  Untargeted: it errs, of all.
    """
    hit, other = (rows[f"{name}_prediction"] == rows["label"] for name in ("source", "other"))
    attacked = rows["label"] != rows["source_label"]
    if aim in ("own", "untargeted"):
        attacked = np.ones_like(hit)
    if aim == "untargeted":
        hit, other = ~hit, ~other
    return {
        "rows": len(hit),
        "n": int(attacked.sum()),
        "success": _share(hit[attacked]),
        "success_of_the_other_iterate": _share(other[attacked]),
        "mean_loss": float(rows["loss"].mean()),
        "warnings": tuple(said for said in (masking.zero_gradients(rows["blind"]),) if said is not None),
    }


def _share(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None


def construct(
    aim: Aim,
    attack: Attack,
    data: Stage,
    model: Stage,
    images: ImageSpec,
    seed: int,
    split: Literal["train", "test"],
    compute: Compute,
    *,
    ensemble: tuple[Stage, ...] = (),
    rows: int,
    name: str,
) -> Stage:
    """`rand`, `other` and `det` of Ilyas et al. 2019, section 3.2, `own` (what makes an image easier: P2 of Tao et al.
    2021), or (for measuring transfer) an untargeted attack.

    With an `ensemble` the same, but no network of it may be misled (the "bugs" of Nakkiran, Distill 2019).

    Raises ValueError where the source is in its own ensemble, or an ensemble stands beside an untargeted attack.
    """
    if ensemble and aim == "untargeted":
        raise ValueError("construct: an ensemble is spared by attacks with a target, got untargeted; choose a target")
    check_precision(compute.precision, model, *ensemble)
    if model in ensemble:
        raise ValueError(f"construct: the ensemble holds the source {model.label}, which cannot be misled and spared")
    construction = Construction(aim, attack.pinned(images), images.num_classes, seed, split, compute)
    inputs = {"data": data, "model": model} | {f"{MEMBER}{index}": member for index, member in enumerate(ensemble)}
    passes = rows * attack.steps * (1 + len(ensemble))
    return Stage("constructed", 3, construction, inputs, name, passes)
