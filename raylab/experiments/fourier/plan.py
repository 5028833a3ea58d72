"""Which frequencies does a network hang on?  (Yin et al. 2019; Gilmer and Hendrycks, Distill 2019)

Three networks of one architecture: standard, with Gaussian noise on its training images, and adversarially trained.
Each is asked about images with single waves added, about the corruptions of a benchmark, and about noise of a band of
frequencies. And fresh networks are trained on images of which only a band is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.bench import Bench, of_seeds
from raylab.core.fourier_basis import Passes
from raylab.engine.stage import Stage
from raylab.experiments.fourier.config import NETWORKS, STANDARD, Bandwidths, Filtered, Fourier
from raylab.stages.band import band_passed
from raylab.stages.corruption import Corruptions, FilteredNoise, changed, check_bandwidths
from raylab.stages.dataset import Split
from raylab.stages.heat_map import heat_map
from raylab.stages.recipe import Recipe


class FourierCell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data                        the training images
    shown                       the test images
    network   network           one of the three
    test      network           its answers to the test images
    further   network           and to the further test images that `on` names
    heat_map  network           its errors by frequency
    changed                     answers of all three to corrupted images
    frost                       the photographs that one of the corruptions lays over them
    noise                       and to images with noise of a band
    band      passes bandwidth  test images of which a band is left
    filtered  passes bandwidth  answers to them of a network trained on that band
    """

    role: str
    seed: int
    network: str = ""
    passes: str = ""
    bandwidth: int = 0
    on: str = ""


def plan(config: Fourier) -> dict[FourierCell, Stage]:
    """Every measurement. A seed changes the split or world, all networks, all signs and all noise.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return of_seeds((_SeedPlan(config, seed) for seed in config.seeds), config.evaluate_on, "test")


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: Fourier, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bench = Bench.open(config.data, seed, config.compute, purpose="fourier/")
        if config.filtered is not None:
            check_bandwidths(config.filtered.low, config.filtered.high, self.bench.images)

    def cells(self) -> Iterator[tuple[FourierCell, Stage]]:
        yield FourierCell("data", self.seed), self.bench.data.train
        yield FourierCell("shown", self.seed), self.bench.data.test
        networks = {name: self._train(name, getattr(self.config, name), name) for name in NETWORKS}
        for name, network in networks.items():
            yield FourierCell("network", self.seed, name), network
            yield FourierCell("test", self.seed, name), self.bench.on_test(network, name)
            yield FourierCell("heat_map", self.seed, name), self._heat_map(network, name)
        for role, changes in (("changed", self.config.corruptions), ("noise", self.config.noise)):
            if changes is not None:
                yield FourierCell(role, self.seed), self._changed(changes, networks, role)
        if self.config.corruptions is not None and (frozen := self.config.corruptions.photographs()) is not None:
            yield FourierCell("frost", self.seed), frozen
        if self.config.filtered is not None:
            yield from self._filtered(self.config.filtered)

    def _filtered(self, config: Filtered) -> Iterator[tuple[FourierCell, Stage]]:
        bands: tuple[tuple[Passes, Bandwidths], ...] = (("low", config.low), ("high", config.high))
        for passes, bandwidths in bands:
            for bandwidth in bandwidths:
                title = f"{passes}-pass {bandwidth}"
                own, other = self._band("train", passes, bandwidth), self._band("test", passes, bandwidth)
                # All begin alike, and as the standard network does: they differ in their images alone.
                network = self._train(STANDARD, config.train, title, own)
                yield FourierCell("band", self.seed, "", passes, bandwidth), other
                yield (
                    FourierCell("filtered", self.seed, "", passes, bandwidth),
                    self.bench.on_test(network, title, other),
                )

    def _band(self, split: Split, passes: Passes, bandwidth: int) -> Stage:
        name, rows = f"{split} {passes}-pass {bandwidth} seed {self.seed}", self.bench.data.rows[split]
        return band_passed(self.bench.clean(split), passes, bandwidth, self.bench.compute, rows=rows, name=name)

    def _train(self, begins: str, recipe: Recipe, title: str, data: Stage | None = None) -> Stage:
        name = self.config.network
        return self.bench.train(name, recipe, begins, data, called=f"{name} {title}")

    def _heat_map(self, network: Stage, title: str) -> Stage:
        bench = self.bench
        return heat_map(
            self.config.heat_map,
            network,
            bench.data.test,
            bench.images,
            self.seed,
            bench.compute,
            rows=bench.data.rows["test"],
            name=f"heat map of {title} seed {self.seed}",
        )

    def _changed(self, changes: Corruptions | FilteredNoise, networks: dict[str, Stage], title: str) -> Stage:
        bench = self.bench
        return changed(
            changes,
            networks,
            bench.data.test,
            bench.images,
            self.seed,
            bench.compute,
            rows=bench.data.rows["test"],
            name=f"{title} seed {self.seed}",
        )
