"""The worlds of the discussion in which the answer is known: computed, and checked by running them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.data import DataError
from raylab.engine.stage import Stage
from raylab.experiments.theory.config import Theory
from raylab.stages.dataset import Data, DataConfig, open_data
from raylab.stages.theory import adversarial_squares, gaussians, synthetic_world
from raylab.stages.two_layer import two_layer_networks
from raylab.stages.usefulness import useful_directions


class TheoryCell(NamedTuple):
    """One result. Roles: gaussian, two_layer, images, usefulness, squares, synthetic; data: what `name` is from."""

    role: str
    seed: int = 0
    name: str = ""  # of two_layer and images: "published" draws or "own"

    @property
    def world(self) -> str:
        """Whose quantities it has: the published draws are a world of their own."""
        return f"{self.role} {self.name}" if self.name == "published" else self.role


def plan(config: Theory) -> dict[TheoryCell, Stage]:
    """Every world that can be run. Raises ValueError where the data of the spectrum cannot be had."""
    return dict(_cells(config))


def absent_images(config: Theory) -> str:
    """Why the two-layer networks see no images; "" where they do."""
    return "images: null in the config" if config.images is None else _images(config.images)[1]


def _cells(config: Theory) -> Iterator[tuple[TheoryCell, Stage]]:
    c, published = config, TheoryCell("two_layer", 0, "published")
    yield TheoryCell("gaussian", c.seeds[0]), gaussians(c.gaussian, c.seeds[0])
    yield published, two_layer_networks(c.two_layer, 0, "published", "shifted Gaussians, published")
    for seed in c.seeds:
        own = two_layer_networks(c.two_layer, seed, "own", f"shifted Gaussians seed {seed}")
        yield TheoryCell("two_layer", seed, "own"), own
    for seed in c.synthetic_seeds:
        yield TheoryCell("synthetic", seed), synthetic_world(c.synthetic, seed)
    for seed in c.squares_seeds:
        yield TheoryCell("squares", seed), adversarial_squares(c.squares, seed)
    data = open_data(c.usefulness_data, c.seeds[0])
    yield TheoryCell("data", 0, "usefulness"), data.train
    yield TheoryCell("usefulness"), useful_directions(c.usefulness, data.train, "usefulness of directions")
    images, _ = (None, "") if c.images is None else _images(c.images)
    if images is not None:
        yield TheoryCell("data", 0, "images"), images.train
        named = two_layer_networks(
            c.two_layer_images, 0, "published", "two-layer on images, published", images.train, images.test
        )
        yield TheoryCell("images", 0, "published"), named


def _images(data: DataConfig) -> tuple[Data | None, str]:
    try:
        return open_data(data, 0), ""
    except DataError as error:
        return None, str(error)
