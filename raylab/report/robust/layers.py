"""Layer robustness R(f): the reply to Nakano says that style transfer needs robust layers, not robust answers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raylab.artifact import Artifact
from raylab.core.layers import LOGITS
from raylab.core.statistics import Estimate, over_seeds
from raylab.recipes.robust_features import ADVERSARIAL, STANDARD, Cell, RobustFeatures
from raylab.report.estimates import BySeed, difference, interval, mean
from raylab.report.numbers import ABSENT
from raylab.report.terminal import table

NETWORKS = {STANDARD: "standard", ADVERSARIAL: "adversarial", "r_image": "student of D_R"}  # as columns
# ImageNet, read off the figure of the reply (Distill 2019): four layers of ResNet-50, the radius is not stated.
PUBLISHED = "standard .54 .45 .445 .58, robust .07 .065 .062 .05 (ResNet-50 on ImageNet)"
Artifacts = Mapping[Cell, Artifact]


@dataclass(frozen=True)
class Layer:
    """R(f) of one layer: 0 where nothing moves it, 1 where the ball reaches as far as from one image to another."""

    name: str
    by_network: Mapping[str, Estimate]  # of NETWORKS, those that were measured
    ratio: Estimate  # standard over adversarial, paired by seed


@dataclass(frozen=True)
class Layers:
    """Of networks of the source's architecture."""

    eps: float
    n: int  # images a seed
    layers: tuple[Layer, ...]
    worst: Mapping[str, BySeed]  # by network: of the layer that moves farthest; the logits only where there is no other
    above: Estimate  # of that: adversarial minus standard, paired by seed
    ratio: Estimate  # and standard over adversarial

    @property
    def networks(self) -> tuple[str, ...]:
        return tuple(self.layers[0].by_network)

    @property
    def code(self) -> Literal["good", "open", "warn"]:
        """Whether adversarial training made the layers more robust: the whole 95 % interval of the difference is below
        0 (good), above it (warn), or neither can be said."""
        low, high = interval(self.above)
        return "good" if high < 0 else "warn" if low > 0 else "open"

    @property
    def sentence(self) -> str:
        """By rule."""
        said = {
            "good": "Adversarial training makes the layers more robust",
            "warn": "Adversarial training makes the layers less robust",
            "open": "That adversarial training makes the layers more robust is not shown",
        }[self.code]
        numbers = {of: figure(mean(list(self.worst[of].values()))) for of in (STANDARD, ADVERSARIAL)}
        return (
            f"{said}: the layer that moves farthest has R = {numbers[ADVERSARIAL]} with it and {numbers[STANDARD]} "
            f"without, {figure(self.ratio, 1)} times as much."
        )


def layers(config: RobustFeatures, artifacts: Artifacts) -> Layers | None:
    """None where it was not measured."""
    measured = {
        of: {seed: artifacts[cell].metrics for seed in config.seeds if (cell := _cell(config, of, seed)) in artifacts}
        for of in NETWORKS
    }
    measured = {of: found for of, found in measured.items() if found}
    if not {STANDARD, ADVERSARIAL} <= set(measured):
        return None
    first = next(iter(measured[STANDARD].values()))
    names = list(first["layers"])
    found = []
    for place, name in enumerate(names):
        by = {of: {s: _estimate(m, place) for s, m in metrics.items()} for of, metrics in measured.items()}
        estimates = {of: mean(list(by_seed.values())) for of, by_seed in by.items()}
        found.append(Layer(name, estimates, _over(by[STANDARD], by[ADVERSARIAL])))
    hidden = [place for place, name in enumerate(names) if name != LOGITS] or list(range(len(names)))
    worst = {of: {s: _worst(m, hidden) for s, m in metrics.items()} for of, metrics in measured.items()}
    return Layers(
        first["eps"],
        first["n"],
        tuple(found),
        worst,
        difference(worst[ADVERSARIAL], worst[STANDARD]),
        _over(worst[STANDARD], worst[ADVERSARIAL]),
    )


def as_table(found: Layers) -> str:
    """For the terminal."""
    lines = [
        [layer.name, *(figure(layer.by_network[name]) for name in found.networks), figure(layer.ratio, 1)]
        for layer in found.layers
    ]
    return table(["layer", *(NETWORKS[name] for name in found.networks), "standard / adversarial"], lines)


def as_csv(found: Layers) -> str:
    """One line for each layer and network."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["layer", "network", "eps", "R", "R se", "n", "seeds"])
    for layer in found.layers:
        for of, one in layer.by_network.items():
            writer.writerow([layer.name, of, found.eps, f"{one.mean:.6g}", f"{one.se:.6g}", one.n, one.seeds])
    return stream.getvalue()


def figure(estimate: Estimate, decimals: int = 3) -> str:
    """0.537 ± 0.012: a number that is no share."""
    if math.isnan(estimate.mean):
        return ABSENT
    spread = "" if math.isnan(estimate.se) else f" ± {estimate.se:.{decimals}f}"
    return f"{estimate.mean:.{decimals}f}{spread}"


def _cell(config: RobustFeatures, of: str, seed: int) -> Cell:
    return Cell("layers", seed, of, config.source)


def _estimate(metrics: Mapping[str, Any], place: int) -> Estimate:
    value, se = metrics["robustness"][place], metrics["se"][place]
    return Estimate(math.nan if value is None else value, math.nan if se is None else se, metrics["n"], 1)


def _worst(metrics: Mapping[str, Any], places: list[int]) -> Estimate:
    """Of these layers the one that moves farthest."""
    found = (_estimate(metrics, place) for place in places)
    return max(found, key=lambda one: -1.0 if math.isnan(one.mean) else one.mean)


def _over(of: BySeed, by: BySeed) -> Estimate:
    """Ratios by seed; of one seed without a standard error."""
    shared = [seed for seed in of if seed in by and by[seed].mean > 0]
    return over_seeds([of[seed].mean / by[seed].mean for seed in shared], sum(of[seed].n for seed in shared))
