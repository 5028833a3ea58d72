"""Where gradients and perturbations lie where features are known: in robust ones, in non-robust ones, elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from raylab.core import explanations
from raylab.core.explanations import Floats
from raylab.core.later import torch
from raylab.core.seefar import Feature, World
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.memory_map import memory_mapped
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.images import to_tensor
from raylab.stages.weights import load_network

FEATURES: tuple[Feature, ...] = ("toogit", "shape")


@dataclass(frozen=True)
class _Explanation:
    """The identity of an explanation, beside its network and data."""

    doing = ("explaining", "network")
    over = "data"
    world: World
    sigmas: tuple[float, ...]  # of the noise; 0: the plain gradient
    draws: int
    rows: int  # the examples with the lowest ids
    seed: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        network, spans = load_network(inputs["model"], device), _spans(self.world)

        def explain(batch: Batch) -> Batch:
            taken = batch["id"] < self.rows
            ids = batch["id"][taken].astype(np.int64)
            x = to_tensor(batch["image"][taken], device)
            label = torch.from_numpy(batch["label"][taken].astype(np.int64)).to(device)
            found = [
                explanations.smoothed(network, x, label, ids, sigma, self.draws, self.seed).cpu().numpy()
                for sigma in self.sigmas
            ]
            shares = {
                name: np.stack([explanations.energy_share(gradient, span) for gradient in found], axis=1)
                for name, span in spans.items()
            }
            return {"id": ids, **shares}

        return explain

    def summarise(self, artifact: Artifact) -> Metrics:
        """Mean shares of energy by sigma, of the n images whose gradient is not 0; and what a random direction has."""
        return _summary(artifact.batch(), self.world)


@dataclass(frozen=True)
class _Perturbation:
    """The identity of a reading of perturbations, beside the set and what it was made from."""

    doing = ("measuring the perturbations of", "data set")
    over = "data"
    world: World
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del device
        world, spans, clean = self.world, _spans(self.world), memory_mapped(inputs["original"])
        row = {int(example): index for index, example in enumerate(clean["id"])}
        images = clean["image"]

        def read(batch: Batch) -> Batch:
            before = images[[row[int(example)] for example in batch["id"]]]
            delta = batch["image"] - to_tensor(before, "cpu").numpy()
            toogit = world.toogits[batch["label"]]
            return {
                "id": batch["id"],
                **{name: explanations.energy_share(delta, span) for name, span in spans.items()},
                # With the toogit of the new label, and with the way there from the one that the image has.
                "with_target": explanations.correlation(delta, toogit),
                "with_swap": explanations.correlation(delta, toogit - world.toogits[batch["toogit_class"]]),
            }

        return read

    def summarise(self, artifact: Artifact) -> Metrics:
        """Means over the images whose perturbation is not 0, and whose toogit is not that of the target already."""
        rows = artifact.batch()
        correlations = {name: _mean(rows[name]) for name in ("with_target", "with_swap")}
        return {**_summary(rows, self.world), **correlations}


def explain(
    model: Stage,
    data: Stage,
    world: World,
    sigmas: tuple[float, ...],
    draws: int,
    rows: int,
    seed: int,
    compute: Compute,
    *,
    name: str,
) -> Stage:
    """Shares of the energy of a network's input gradients, plain and smoothed, in the spans of a world's features."""
    identity = _Explanation(world, sigmas, draws, rows, seed, compute.measuring)
    passes = rows * sum(draws if sigma else 1 for sigma in sigmas)
    return Stage("explanation", 1, identity, {"data": data, "model": model}, name, passes)


def read_perturbations(made: Stage, original: Stage, world: World, compute: Compute, *, rows: int, name: str) -> Stage:
    """The same of what an attack added to the images of a set."""
    identity = _Perturbation(world, compute.measuring)
    inputs = {"data": made, "original": original}
    return Stage("perturbation", 1, identity, inputs, name, rows)


def _spans(world: World) -> dict[str, Floats]:
    return {name: explanations.basis(world.templates(name).reshape(-1, world.size**2)) for name in FEATURES}


def _summary(rows: Batch, world: World) -> Metrics:
    spans = _spans(world)
    shares = {name: rows[name].reshape(len(rows["id"]), -1) for name in FEATURES}
    seen = np.isfinite(shares["toogit"]).all(axis=1)
    means: dict[str, object] = {
        name: tuple(_mean(column) for column in share[seen].T) for name, share in shares.items()
    }
    by_chance = {f"{name}_by_chance": len(span) / world.size**2 for name, span in spans.items()}
    return {"n": int(seen.sum()), **means, **by_chance}


def _mean(values: Floats) -> float | None:
    """Of those that are known; None where none is: of nothing no part lies anywhere."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
