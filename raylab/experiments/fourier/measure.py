"""The three networks as numbers: error by band, accuracy under corruptions and noise, and after training on a band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from raylab.core import fourier_basis
from raylab.core.statistics import Estimate, Range
from raylab.engine.artifact import Artifact
from raylab.engine.study import Built
from raylab.experiments.fourier.config import NETWORKS, STANDARD, Fourier
from raylab.experiments.fourier.plan import FourierCell
from raylab.experiments.fourier.published import INVISIBLE
from raylab.report.per_seed import PerSeed
from raylab.report.read import CellReader, Columns, Findings, begun, reader_of
from raylab.scoreboard.protocol import named
from raylab.stages.heat_map import BANDS

Floats = NDArray[np.float64]
PROFILE = 12  # steps of the radius at most, from the lowest frequency to the corner
SHARE, GAP, GAP_OF_GAPS = (0.0, 1.0), (-1.0, 1.0), (-2.0, 2.0)


@dataclass(frozen=True)
class Profile:
    """One network's heat map."""

    plane: Floats | None  # (H, W) mean error over seeds, the lowest frequency in the middle; None: not built
    clean: PerSeed  # error on the same images unchanged
    errors: Mapping[str, PerSeed]  # by band
    rises: Mapping[str, PerSeed]  # by band, above the network's own clean error, image by image
    by_radius: Mapping[float, PerSeed]  # error at each step, a share of the highest frequency along a side


@dataclass(frozen=True)
class Change:
    """What happens to accuracy under one change of the images."""

    what: str  # a corruption, or the band of the noise
    level: int  # a bandwidth; 0: the mean of five severities
    accuracy: Mapping[str, PerSeed]  # by network
    lost: Mapping[str, PerSeed]  # clean accuracy on the same images minus this
    above: Mapping[str, PerSeed]  # minus the standard network's accuracy; paired by image and seed
    beyond: Mapping[str, PerSeed]  # the same after each has its own clean accuracy subtracted
    by_severity: Mapping[str, tuple[PerSeed, ...]]


@dataclass(frozen=True)
class Kept:
    """A network trained and tested on one band of frequencies."""

    passes: str
    bandwidth: int
    accuracy: PerSeed

    @property
    def title(self) -> str:
        return f"{self.passes}-pass {self.bandwidth}"


@dataclass(frozen=True)
class ByFrequency(Findings[Fourier, FourierCell]):
    """One study's result."""

    shape: tuple[int, int, int]  # of an image: channels, height, width
    accuracy: Mapping[str, PerSeed]  # by network, on all test images
    profiles: Mapping[str, Profile]
    corruptions: tuple[Change, ...]
    noise: tuple[Change, ...]
    kept: tuple[Kept, ...]
    collapsed: tuple[str, ...]
    further: Mapping[str, Mapping[str, PerSeed]]  # accuracy by network, on further test images, by their name

    @property
    def side(self) -> int:
        return min(self.shape[1:])

    @property
    def title(self) -> str:
        return f"{named(self.config.data)}, {self.config.network}"

    @property
    def nearest_invisible(self) -> Kept | None:
        """The high-pass whose share of the side is nearest to the published 105 of 224."""
        high = [kept for kept in self.kept if kept.passes == "high"]
        return min(high, key=lambda kept: abs(kept.bandwidth / self.side - INVISIBLE), default=None)

    def corruption(self, name: str) -> Change | None:
        return next((change for change in self.corruptions if change.what == name), None)

    def rise(self, network: str, band: str) -> PerSeed:
        """Error in a band above the network's own on clean images."""
        return self.profiles[network].rises[band]

    def worse(self, network: str, band: str, *, net: bool = False) -> PerSeed:
        """Error of a network in a band minus the standard network's, of the rises where net; paired by seed."""
        of, than = self.profiles[network], self.profiles[STANDARD]
        return of.rises[band] - than.rises[band] if net else of.errors[band] - than.errors[band]


def measure(built: Built[Fourier, FourierCell]) -> ByFrequency:
    """All numbers, from the results of single examples and of single frequencies."""
    config, reader = built.config, reader_of(built)
    data = next(artifact for cell, artifact in built.artifacts.items() if cell.role == "data")
    bands = dict.fromkeys((c.passes, c.bandwidth) for c in built.planned if c.role == "filtered")
    channels, height, width = data.batch(0, 1)["image"].shape[1:]
    return ByFrequency(
        *begun(built),
        (channels, height, width),
        {name: reader.right(FourierCell("test", 0, name)) for name in NETWORKS},
        {name: _profile(reader.artifacts(FourierCell("heat_map", 0, name)), (height, width)) for name in NETWORKS},
        tuple(_corruptions(reader, config)),
        tuple(_noise(reader, config)),
        tuple(
            Kept(passes, bandwidth, reader.right(FourierCell("filtered", 0, "", passes, bandwidth)))
            for passes, bandwidth in sorted(bands, key=lambda band: (band[0] != "low", band[1]))
        ),
        reader.warnings("network", "collapse", lambda cell: cell.network),
        {name: _further(reader, name, tuple(config.evaluate_on or ())) for name in NETWORKS},
    )


def _further(reader: CellReader[FourierCell], name: str, further: tuple[str, ...]) -> dict[str, PerSeed]:
    return {on: reader.further(FourierCell("further", 0, name, on=on)) for on in further}


def _profile(maps: Mapping[int, Artifact], size: tuple[int, int]) -> Profile:
    metrics = {seed: one.metrics for seed, one in maps.items()}
    tables = [one.batch() for one in maps.values()]

    # The answers to single images are not kept: intervals are of these images.
    def by_seed(name: str, part: str = "", within: Range = SHARE) -> PerSeed:
        found = {seed: (*(one[part] if part else one)[name], one["n"]) for seed, one in metrics.items()}
        return PerSeed({seed: Estimate(mean, se, n, 1, within=within) for seed, (mean, se, n) in found.items()})

    clean, errors = by_seed("clean"), {band: by_seed(band) for band in BANDS}
    rises = {band: by_seed(band, "rises", GAP) for band in BANDS}
    if not tables:
        return Profile(None, clean, errors, rises, {})
    frequencies = np.stack([tables[0]["i"], tables[0]["j"]], axis=1)
    by_place = np.stack([table["errors"] / table["n"] for table in tables])  # (S, F)
    plane = fourier_basis.whole_plane(frequencies, by_place.mean(axis=0), size)
    n = {seed: int(one["n"]) for seed, one in metrics.items()}
    return Profile(plane, clean, errors, rises, _by_radius(frequencies, by_place, n, size))


def _by_radius(
    frequencies: NDArray[np.int64], errors: Floats, n: Mapping[int, int], size: tuple[int, int]
) -> dict[float, PerSeed]:
    """Errors are averaged around the lowest frequency, every place of the plane counted once."""
    steps = min(PROFILE, max(size) // 2 + 1)
    radius = fourier_basis.radius(frequencies, size)
    step = np.minimum(np.rint(radius / np.sqrt(2) * (steps - 1)).astype(int), steps - 1)
    weight = fourier_basis.multiplicity(frequencies, size)
    found = {}
    for inside in (step == k for k in range(steps) if (step == k).any()):
        values = np.average(errors[:, inside], axis=1, weights=weight[inside])
        estimates = {seed: Estimate(float(v), np.nan, n[seed], 1) for seed, v in zip(n, values, strict=True)}
        found[float(np.average(radius[inside], weights=weight[inside]))] = PerSeed(estimates)
    return found


def _corruptions(reader: CellReader[FourierCell], config: Fourier) -> list[Change]:
    """Means over severities, and each severity by itself."""
    pairs = config.corruptions.variants() if config.corruptions else []
    places: dict[str, list[int]] = {}
    for place, (what, _) in enumerate(pairs):
        places.setdefault(what, []).append(place)
    return [_change(reader, FourierCell("changed", 0), what, 0, of) for what, of in places.items()]


def _noise(reader: CellReader[FourierCell], config: Fourier) -> list[Change]:
    pairs = config.noise.variants() if config.noise else []
    return [_change(reader, FourierCell("noise", 0), what, level, [place]) for place, (what, level) in enumerate(pairs)]


def _change(reader: CellReader[FourierCell], cell: FourierCell, what: str, level: int, variants: list[int]) -> Change:
    def by_network(value: Callable[[str, list[int], Columns], Floats], within: Range) -> dict[str, PerSeed]:
        return {name: reader.rows(cell, partial(value, name, variants), within=within) for name in NETWORKS}

    def single(name: str) -> tuple[PerSeed, ...]:
        return tuple(reader.rows(cell, partial(_right, name, [one]), within=SHARE) for one in variants)

    above, beyond = by_network(_above, GAP), by_network(_beyond, GAP_OF_GAPS)
    accuracy, lost = by_network(_right, SHARE), by_network(_lost, GAP)
    return Change(what, level, accuracy, lost, above, beyond, {name: single(name) for name in NETWORKS})


def _lost(name: str, variants: list[int], rows: Columns) -> Floats:
    clean = np.asarray(rows["clean"][:, NETWORKS.index(name)], np.float64)
    return clean - _right(name, variants, rows)


def _above(name: str, variants: list[int], rows: Columns) -> Floats:
    return _right(name, variants, rows) - _right(STANDARD, variants, rows)


def _beyond(name: str, variants: list[int], rows: Columns) -> Floats:
    return _lost(STANDARD, variants, rows) - _lost(name, variants, rows)


def _right(name: str, variants: list[int], rows: Columns) -> Floats:
    """(N,) the share of these changes of an image under which a network is right."""
    return np.asarray(rows["right"][:, NETWORKS.index(name)][:, variants].astype(np.float64).mean(axis=1))
