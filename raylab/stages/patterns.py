"""Sets whose perturbation is one pattern a class: leakage-only sets of random patterns, and universal perturbations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raylab.core.balls import BALLS, Norm
from raylab.core.construct import Kind, targets
from raylab.core.later import torch
from raylab.core.patterns import base_rows, textures, universal
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.class_patterns import read_patterns, write_patterns
from raylab.stages.construction import Attack
from raylab.stages.images import ImageSpec, to_tensor, truths
from raylab.stages.norm import built_in
from raylab.stages.weights import load_network


@dataclass(frozen=True)
class _Textures:
    """The identity of random patterns."""

    doing = ("drawing patterns of", "set")
    in_driver = True  # too small to be sent away
    norm: Norm
    eps: float
    shape: tuple[int, int, int]
    num_classes: int
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        return write_patterns(context, textures(self.num_classes, self.shape, BALLS[self.norm](self.eps), self.seed))


@dataclass(frozen=True)
class _Universal:
    """The identity of universal perturbations, beside their base images and source network."""

    doing = ("finding universal perturbations of", "network")
    in_driver = False
    attack: Attack
    base: int  # images that share a perturbation while it is made
    num_classes: int
    seed: int  # of the base images

    def run(self, context: TaskContext) -> Metrics:
        a = self.attack
        network = load_network(context.inputs["model"], context.device)
        data = memory_mapped(context.inputs["data"])
        ids, label = data["id"].astype(np.int64), data["label"].astype(np.int64)
        patterns, hits, losses = [], [], []
        for target in range(self.num_classes):
            base = to_tensor(data["image"][base_rows(label, ids, target, self.base, self.seed)], context.device)
            pattern, loss = universal(network, base, target, a.ball, a.step, a.steps)
            with torch.inference_mode():
                said = network((base + pattern).clamp(0.0, 1.0)).argmax(1)
            patterns.append(pattern.cpu())
            hits.append(float((said == target).float().mean()))
            losses.append(loss)
        return {
            **write_patterns(context, torch.stack(patterns)),
            "success_on_base": float(np.mean(hits)),
            "mean_loss": float(np.mean(losses)),
        }


@dataclass(frozen=True)
class _Patterned:
    """The identity of a patterned set, beside its data, its patterns and its selector."""

    doing = ("patterning", "data set")
    over = "data"
    kind: Kind
    everywhere: bool
    num_classes: int
    seed: int  # of the targets
    split: str
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        patterns = read_patterns(inputs["patterns"]).to(device)
        selector = load_network(inputs["selector"], device) if "selector" in inputs else None

        def perturb(batch: Batch) -> Batch:
            ids, label = batch["id"].astype(np.int64), batch["label"].astype(np.int64)
            x = to_tensor(batch["image"], device)
            target = targets(self.kind, label, ids, self.num_classes, self.seed, self.split)
            if self.everywhere:
                perturbed = np.ones(len(ids), dtype=np.bool_)
            elif selector is None:
                perturbed = target != label
            else:
                with torch.inference_mode():
                    perturbed = selector(x).argmax(1).cpu().numpy() != target
            delta = patterns[torch.from_numpy(target).to(device)]
            delta[torch.from_numpy(~perturbed).to(device)] = 0.0
            return {
                "id": ids,
                "image": (x + delta).clamp(0.0, 1.0).contiguous().cpu().numpy(),
                "label": target,
                "source_label": label,
                "perturbed": perturbed,
                **truths(batch),
            }

        return perturb

    def summarise(self, artifact: Artifact) -> Metrics:
        """How many images keep their pixels, and how many of them have their own label."""
        rows = artifact.without_images()
        kept = ~rows["perturbed"]
        own = rows["label"] == rows["source_label"]
        return {
            "rows": len(kept),
            "unperturbed": int(kept.sum()),
            "unperturbed_with_own_label": int((kept & own).sum()),
        }


def random_patterns(images: ImageSpec, eps: float, norm: str, seed: int, name: str) -> Stage:
    """One random texture a class, of size `eps`: it tells the class and shows nothing of it (Jordan)."""
    known = built_in(norm, "a random pattern a class (the control `leakage`)")
    BALLS[known](eps)  # raises on a bad radius
    identity = _Textures(known, eps, images.shape, images.num_classes, seed)
    return Stage("patterns", 1, identity, {}, name)


def universal_patterns(
    attack: Attack, data: Stage, model: Stage, base: int, images: ImageSpec, seed: int, *, name: str
) -> Stage:
    """One perturbation a class that leads `base` images of other classes to it (Park et al. 2021)."""
    if base < 1:
        raise ValueError(f"universal: at least 1 base image, got {base}")
    if attack.schedule is not None:
        raise ValueError(f"universal: an attack of equal steps, got schedule: {attack.schedule}; remove it")
    identity = _Universal(attack.pinned(images), base, images.num_classes, seed)
    inputs = {"data": data, "model": model}
    passes = images.num_classes * base * attack.steps
    return Stage("universal", 1, identity, inputs, name, passes)


def patterned(
    kind: Kind,
    patterns: Stage,
    data: Stage,
    selector: Stage | None,
    images: ImageSpec,
    seed: int,
    split: Literal["train", "test"],
    compute: Compute,
    *,
    everywhere: bool = False,
    rows: int,
    name: str,
) -> Stage:
    """`data` with the pattern of each new label added and clipped, and the targets of `construct`.

    Images that already show their new class stay as they are: those with that label, or, with a `selector`, those
    that this (weakly trained) network calls so (Jordan's leakage-only sets).  `everywhere`: none stays.

    Raises ValueError where no image could stay: `det` and `other` never give an image its own label.
    """
    if not everywhere and selector is None and kind != "rand":
        raise ValueError(
            f"patterned: {kind} gives no image its own label, so none would stay as it is; "
            "pass a selector, or everywhere=True"
        )
    if everywhere and selector is not None:
        raise ValueError("patterned: everywhere leaves a selector nothing to select; drop one of them")
    identity = _Patterned(kind, everywhere, images.num_classes, seed, split, compute.measuring)
    inputs = {"data": data, "patterns": patterns} | ({} if selector is None else {"selector": selector})
    return Stage("patterned", 1, identity, inputs, name, rows)
