"""Two-layer networks that see perturbations alone, as a table of quantities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import two_layer
from raylab.core.later import Tensor
from raylab.core.statistics import Estimate
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages.quantities import Count, Positive, Rows, exact, share, two_classes_of, write

Draws = Literal["own", "published"]


class TwoLayer(Config):
    """Kumano et al. 2024b, scenario (a)."""

    width: Count = 100  # width of the hidden layer
    lr: Positive  # learning rate
    steps: Count  # steps of gradient descent
    eps: tuple[Radius, ...]  # L2 radii of the perturbations
    examples: Count = 1000  # number of shifted Gaussians
    dimension: Count = 100  # dimension of shifted Gaussians
    classes: tuple[int, int] = (1, 2)  # two classes of images: label +1 and -1
    centre: float = 0.1307  # what is subtracted from pixels


@dataclass(frozen=True)
class _TwoLayerRun:
    """The identity of a run, beside its images."""

    doing = ("training", "two-layer network")
    in_driver = False
    config: TwoLayer
    seed: int  # of what is drawn here
    draws: Draws  # published: those of the authors' code, whatever the seed

    def run(self, context: TaskContext) -> Metrics:
        c, published = self.config, self.draws == "published"
        seen, unseen = self._data(context.inputs)
        x, y = seen
        images = "train" in context.inputs
        size = (len(x), x.shape[1], c.width)
        drawn = (
            two_layer.published_draws(*size, calls=0 if images else 2, loader=images)
            if published
            else two_layer.draws(self.seed, *size)
        )
        first = two_layer.train(drawn.first, x, y, c.lr, c.steps)
        label_sum = float(drawn.towards.sum())

        def of_training(value: float) -> Estimate:
            """Of the published run's own points: nothing was sampled anew, so there is no sampling error."""
            return Estimate(value, math.nan, len(x), 1) if published else share(value, len(x))

        def rows() -> Rows:
            yield "label sum", exact(label_sum)
            yield "standard", of_training(two_layer.is_right(first, x, y))
            yield "standard test", share(two_layer.is_right(first, *unseen), len(unseen[0]))
            for eps in c.eps:
                found = two_layer.learn(first, drawn, x, y, unseen, eps, c.lr, c.steps)
                yield f"eps {eps:g}", of_training(found.learned)
                yield f"eps {eps:g} test", share(found.learned_test, len(unseen[0]))
                yield f"eps {eps:g} agreement", share(found.agreement, len(unseen[0]))
                if not images:
                    yield f"eps {eps:g} expected", exact(two_layer.expected(label_sum, len(x), x.shape[1], eps))

        return write(context, rows())

    def _data(self, inputs: Mapping[str, Artifact]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        c = self.config
        if "train" in inputs:
            return two_classes_of(inputs["train"], c.classes, c.centre), two_classes_of(
                inputs["test"], c.classes, c.centre
            )
        if self.draws == "published":
            make = two_layer.published_gaussians
            return make("train", c.examples, c.dimension), make("test", 1000, c.dimension)
        seed, own = self.seed, two_layer.shifted_gaussians
        return own(seed, "train", c.examples, c.dimension), own(seed, "test", 1000, c.dimension)


def two_layer_networks(config: TwoLayer, seed: int, draws: Draws, name: str,
                       train: Stage | None = None, test: Stage | None = None) -> Stage:  # fmt: skip
    """On shifted Gaussians, or on two classes of an image set."""
    of = _TwoLayerRun(config, seed, draws)
    inputs = {} if train is None or test is None else {"train": train, "test": test}
    return Stage("two_layer", 2, of, inputs, name)
