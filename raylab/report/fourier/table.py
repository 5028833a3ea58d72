"""The three networks as numbers: error by band, accuracy under corruptions and noise, and what one band teaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.artifact import Artifact
from raylab.core import fourier_basis
from raylab.core.statistics import Estimate, Range, sampled
from raylab.recipes.fourier import NETWORKS, STANDARD, Cell, Fourier
from raylab.report.estimates import BySeed, above, difference, mean
from raylab.report.made import newest_provenance
from raylab.report.names import NAMES
from raylab.stages.heat_map import BANDS

Floats = NDArray[np.float64]
Artifacts = Mapping[Cell, Artifact]
PROFILE = 12  # steps of the radius at most, from the lowest frequency to the corner


@dataclass(frozen=True)
class Profile:
    """One network's heat map."""

    plane: Floats  # (H, W) mean error over seeds, the lowest frequency in the middle
    clean: BySeed  # error on the same images unchanged
    errors: Mapping[str, BySeed]  # by band
    rises: Mapping[str, BySeed]  # by band, above the network's own clean error, image by image
    radii: Floats  # (R,) of the steps, as shares of the highest frequency along a side
    by_radius: tuple[Estimate, ...]  # error there


@dataclass(frozen=True)
class Change:
    """What happens to accuracy under one change of the images."""

    what: str  # a corruption, or the band of the noise
    level: int  # a bandwidth; 0: the mean of five severities
    accuracy: Mapping[str, Estimate]  # by network
    lost: Mapping[str, Estimate]  # clean accuracy on the same images minus this
    above: Mapping[str, Estimate]  # of the two others, minus the standard network's accuracy; paired by image and seed
    beyond: Mapping[str, Estimate]  # the same after each has its own clean accuracy subtracted
    by_severity: Mapping[str, tuple[Estimate, ...]]


@dataclass(frozen=True)
class Kept:
    """A network trained and tested on one band of frequencies."""

    passes: str
    bandwidth: int
    accuracy: Estimate
    by_seed: BySeed


@dataclass(frozen=True)
class Result:
    """One config's result."""

    config: Fourier
    key: str
    note: str
    class_names: tuple[str, ...]
    size: tuple[int, int]
    norm_of_the_image: float  # of what the heat map adds, over all channels
    images: int  # behind every cell of a heat map, a seed
    accuracy: Mapping[str, Estimate]  # by network, on all test images
    accuracy_by_seed: Mapping[str, BySeed]
    profiles: Mapping[str, Profile]
    corruptions: tuple[Change, ...]
    noise: tuple[Change, ...]
    kept: tuple[Kept, ...]
    collapse: tuple[str, ...]
    artifacts: Artifacts
    provenance: Mapping[str, Any]

    @property
    def chance(self) -> float:
        return 1 / len(self.class_names)

    @property
    def title(self) -> str:
        data = self.config.data.name
        return f"{NAMES.get(data, data)}, {self.config.network}"

    def corruption(self, name: str) -> Change | None:
        return next((change for change in self.corruptions if change.what == name), None)

    def rise(self, network: str, band: str) -> Estimate:
        """Error in a band above the network's own on clean images."""
        return above(self.profiles[network].rises[band], 0.0)

    def worse(self, network: str, band: str, *, net: bool = False) -> Estimate:
        """Error of a network in a band minus the standard network's, of the rises where net; paired by seed."""
        of, than = self.profiles[network], self.profiles[STANDARD]
        return difference(of.rises[band], than.rises[band]) if net else difference(of.errors[band], than.errors[band])


def measured(config: Fourier, key: str, artifacts: Artifacts) -> Result:
    """All statistics of one config from the results of its cells."""
    about = artifacts[Cell("data", config.seeds[0])].metrics
    first = artifacts[Cell("heat_map", config.seeds[0], STANDARD)].metrics
    tests = {
        name: {s: _accuracy(artifacts[Cell("test", s, name)], config.data.images_of(s)) for s in config.seeds}
        for name in NETWORKS
    }
    collapsed = [
        f"seed {s}, {name}: {said}"
        for s in config.seeds
        for name in NETWORKS
        if (said := artifacts[Cell("network", s, name)].metrics.get("collapse"))
    ]
    return Result(
        config,
        key,
        about["note"],
        tuple(about["class_names"]),
        (first["size"][0], first["size"][1]),
        float(first["norm_of_the_image"]),
        int(first["n"]),
        {name: mean(list(found.values())) for name, found in tests.items()},
        tests,
        {name: _profile([artifacts[Cell("heat_map", s, name)] for s in config.seeds], config) for name in NETWORKS},
        tuple(_changes("changed", config, artifacts)),
        tuple(_changes("noise", config, artifacts)),
        tuple(_kept(config, artifacts)),
        tuple(collapsed),
        artifacts,
        newest_provenance(artifacts.values()),
    )


def _accuracy(artifact: Artifact, images: str) -> Estimate:
    rows = artifact.without_images()
    return sampled(rows["correct"].astype(bool), rows["id"], images)


def _profile(maps: list[Artifact], config: Fourier) -> Profile:
    metrics = [one.metrics for one in maps]
    size = (metrics[0]["size"][0], metrics[0]["size"][1])
    tables = [one.batch() for one in maps]
    frequencies = np.stack([tables[0]["i"], tables[0]["j"]], axis=1)
    errors = np.stack([table["errors"] / table["n"] for table in tables])  # (S, F)

    # The answers to single images are not kept: intervals are of these images.
    def by_seed(values: list[Any], within: Range = (0.0, 1.0)) -> BySeed:
        found = zip(config.seeds, values, metrics, strict=True)
        return {seed: Estimate(value[0], value[1], m["n"], 1, within=within) for seed, value, m in found}

    steps = min(PROFILE, max(size) // 2 + 1)
    radius = fourier_basis.radius(frequencies, size)
    step = np.minimum(np.rint(radius / np.sqrt(2) * (steps - 1)).astype(int), steps - 1)
    weight = fourier_basis.multiplicity(frequencies, size)
    present = [k for k in range(steps) if (step == k).any()]
    averages = [np.average(errors[:, step == k], axis=1, weights=weight[step == k]) for k in present]
    n = [m["n"] for m in metrics]
    return Profile(
        fourier_basis.whole_plane(frequencies, errors.mean(axis=0), size),
        by_seed([m["clean"] for m in metrics]),
        {band: by_seed([m[band] for m in metrics]) for band in BANDS},
        {band: by_seed([m["rises"][band] for m in metrics], (-1.0, 1.0)) for band in BANDS},
        np.array([np.average(radius[step == k], weights=weight[step == k]) for k in present]),
        tuple(_over(values, sum(n)) for values in averages),
    )


def _over(values: Floats, n: int) -> Estimate:
    return mean([Estimate(float(value), float("nan"), n // len(values), 1) for value in values])


def _changes(role: str, config: Fourier, artifacts: Artifacts) -> list[Change]:
    """By corruption (means over its severities), or by band and bandwidth of the noise."""
    if Cell(role, config.seeds[0]) not in artifacts:
        return []
    found = {seed: artifacts[Cell(role, seed)] for seed in config.seeds}
    about = found[config.seeds[0]].metrics
    pairs = list(zip(about["variants"], about["levels"], strict=True))
    groups = (
        {(what, 0): [k for k, pair in enumerate(pairs) if pair[0] == what] for what, _ in pairs}
        if role == "changed"
        else {pair: [k] for k, pair in enumerate(pairs)}
    )
    rows = {seed: artifact.batch() for seed, artifact in found.items()}
    shown = {
        seed: Shown(
            batch["id"], config.data.images_of(seed), batch["clean"].astype(float), batch["right"].astype(float)
        )
        for seed, batch in rows.items()
    }
    return [_change(what, level, shown, columns) for (what, level), columns in groups.items()]


class Shown(NamedTuple):
    """What the networks of one seed, in the order of NETWORKS, have right."""

    ids: NDArray[np.int64]  # (N,)
    images: str
    clean: Floats  # (N, M)
    under: Floats  # (N, M, V) under every variant


def _change(what: str, level: int, shown: Mapping[int, Shown], columns: list[int]) -> Change:
    def over(take: Any, within: Range, of: list[int] = columns) -> Estimate:
        values = {s: take(one.clean, one.under[:, :, of].mean(axis=2)) for s, one in shown.items()}
        return mean([sampled(v, shown[s].ids, shown[s].images, within) for s, v in values.items()])

    def estimate(take: Any, of: list[int] = columns) -> Estimate:
        return over(take, (0.0, 1.0), of)

    def paired(take: Any, within: Range = (-1.0, 1.0)) -> Estimate:
        return over(take, within)

    place = {name: k for k, name in enumerate(NETWORKS)}
    others = {name: k for name, k in place.items() if name != STANDARD}
    return Change(
        what,
        level,
        {name: estimate(lambda _, under, k=k: under[:, k]) for name, k in place.items()},
        {name: paired(lambda clean, under, k=k: clean[:, k] - under[:, k]) for name, k in place.items()},
        {name: paired(lambda _, under, k=k: under[:, k] - under[:, 0]) for name, k in others.items()},
        {
            name: paired(
                lambda clean, under, k=k: (under[:, k] - clean[:, k]) - (under[:, 0] - clean[:, 0]), (-2.0, 2.0)
            )
            for name, k in others.items()
        },
        {
            name: tuple(estimate(lambda _, under, k=k: under[:, k], [column]) for column in columns)
            for name, k in place.items()
        },
    )


def _kept(config: Fourier, artifacts: Artifacts) -> list[Kept]:
    cells = [cell for cell in artifacts if cell.role == "filtered" and cell.seed == config.seeds[0]]
    found = []
    for cell in sorted(cells, key=lambda c: (c.passes != "low", c.bandwidth)):
        by_seed = {s: _accuracy(artifacts[cell._replace(seed=s)], config.data.images_of(s)) for s in config.seeds}
        found.append(Kept(cell.passes, cell.bandwidth, mean(list(by_seed.values())), by_seed))
    return found
