"""Small worlds whose numbers are known, as tables of quantities: the Gaussian model, squares, one robust feature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from raylab.config import Config
from raylab.config.radius import Radius, Size
from raylab.core import gaussian, synthetic
from raylab.core.later import Tensor, squares, torch
from raylab.core.statistics import Estimate
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages.quantities import Count, Positive, Rows, exact, share, write


class Gaussians(Config):
    """The cases of section 4 of Ilyas et al. that are computed, and the samples that check them."""

    samples: Count = 2_000_000  # samples drawn to check what is computed
    hard_steps: Count = 800  # steps of the game that learns the hard variances
    gain: tuple[tuple[Positive, ...], Positive] = ((1.0, 4.0), 2.0)  # variances, and the penalty C
    # Variances and radius of each case.
    fits: tuple[tuple[tuple[Positive, ...], Positive], ...] = (
        ((1.0,), 0.5),
        ((100.0, 1.0), 1.0),
        ((100.0, 1.0), 10.0),
        ((25.0, 1.0), 1.0),
        ((4.0, 1.0, 0.25), 0.5),
    )
    mean: tuple[float, ...] = (2.0, 1.0)  # mean of the classes, for the classifiers
    variances: tuple[Positive, ...] = (4.0, 0.25)  # variances of the classes, for the classifiers
    trained: tuple[Annotated[Size, Field(ge=0)], ...] = (0.0, 0.5, 1.0)  # radii that the classifiers are made for
    attacked: tuple[Annotated[Size, Field(ge=0)], ...] = (0.0, 0.25, 0.5, 1.0)  # radii of attacks on the classifiers


class Squares(Config):
    """Nakkiran's squares in few dimensions."""

    dimensions: tuple[Count, ...] = (200, 400, 800)  # dimensions of the squares
    examples: Count = 2000  # examples to train on
    test: Count = 1000  # examples to test on
    width: Count = 64  # width of the hidden layer
    lr: Positive = 1e-3  # learning rate
    batch: Count = 50  # examples in a step
    epochs: Count = 40  # passes over the examples, at most
    fitted: Annotated[float, Field(gt=0, le=1)] = 0.999  # share of the training labels at which a training may end
    radii: tuple[Radius, ...] = (0.003, 0.01, 0.03)  # Linf radii of attacks


class Synthetic(Config):
    """The world of one robust and many faint features."""

    dimension: Count = 100  # number of features
    examples: Count = 10_000  # examples of each set
    ratios: tuple[Positive, ...] = (0.5, 1.0, 1.5, 2.0)  # radii of the constructed sets, as eps / eta
    starts: Count = 8  # inversions of an example in the larger D_R


@dataclass(frozen=True)
class _SolvedGaussians:
    doing = ("solving", "Gaussian model")
    in_driver = False
    config: Gaussians
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        return write(context, self._rows())

    def _rows(self) -> Rows:
        c, seed = self.config, self.seed
        yield "gain", exact(gaussian.misalignment_gain(*c.gain))
        yield "gain sampled", gaussian.sampled_gain(*c.gain, c.samples, seed)
        for variances, eps in c.fits:
            name, fit = fit_name(variances, eps), gaussian.robust_fit(variances, eps)
            yield f"{name} lambda", exact(fit.multiplier)
            for i, variance in enumerate(fit.variances):
                yield f"{name} s{i}", exact(float(variance))
            for when, found in (("before", variances), ("after", fit.variances)):
                kappa = gaussian.condition(found)
                yield f"{name} kappa {when}", exact(kappa)
                yield f"{name} cos {when}", exact(gaussian.worst_alignment(kappa))
        yield "hard", exact(gaussian.hard_variance(1.0, 0.5))
        learned = gaussian.learned_hard_variances((1.0,), 0.5, seed, c.hard_steps)
        yield "hard learned", Estimate(float(learned[0]), math.nan, 1000 * c.hard_steps, 1)
        for trained in c.trained:
            found = gaussian.robust_fit(c.variances, trained).variances
            w = gaussian.weights(c.mean, found)
            yield f"trained {trained:g} cos", exact(gaussian.alignment(c.mean, found))
            for eps in c.attacked:
                name = f"trained {trained:g} attacked {eps:g}"
                yield name, exact(gaussian.accuracy(w, c.mean, c.variances, eps))
                sampled = gaussian.sampled_accuracy(w, c.mean, c.variances, eps, c.samples // 10, seed)
                yield f"{name} sampled", sampled


@dataclass(frozen=True)
class _TrainedSquares:
    doing = ("training on squares", "network")
    in_driver = False
    config: Squares
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        return write(context, self._rows())

    def _rows(self) -> Rows:
        c, largest = self.config, max(self.config.dimensions)
        worlds = {f"d {d}": squares.SquareWorld(d) for d in c.dimensions}
        worlds |= {"no label noise": squares.SquareWorld(largest, flipped=0.0)}
        worlds |= {"no pixel noise": squares.SquareWorld(largest, noise=0.0)}
        worlds |= {"neither noise": squares.SquareWorld(largest, noise=0.0, flipped=0.0)}
        for name, world in worlds.items():
            found = squares.trained(
                world, self.seed, examples=c.examples, test=c.test, width=c.width, lr=c.lr, batch=c.batch,
                epochs=c.epochs if world.noise and world.flipped else min(c.epochs, 8), fitted=c.fitted, radii=c.radii,
            )  # fmt: skip
            yield f"{name} epochs", exact(found.epochs)
            yield f"{name} train", share(found.train, c.examples)
            yield f"{name} clean", share(found.clean, c.test)
            for i, eps in enumerate(c.radii):
                yield f"{name} robust {eps:g}", share(found.robust[i], c.test)
                yield f"{name} first robust {eps:g}", share(found.first_robust[i], c.test)
        yield "rule withstands", exact(squares.linear_rule_withstands(worlds[f"d {largest}"]))
        yield "interpolator radius", exact(squares.interpolator_radius(c.examples, largest))


@dataclass(frozen=True)
class _SampledWorld:
    doing = ("sampling", "synthetic world")
    in_driver = False
    config: Synthetic
    seed: int

    def run(self, context: TaskContext) -> Metrics:
        return write(context, self._rows())

    def _rows(self) -> Rows:
        c, seed, world = self.config, self.seed, synthetic.SyntheticWorld(self.config.dimension)
        eta, n = world.eta, c.examples
        x, y = world.sample(seed, "train", n)
        test = world.sample(seed, "test", n)

        def right(w: Tensor, eps: float = 0.0) -> Estimate:
            return share(synthetic.accuracy(w, *test, eps), n)

        standard, limit = synthetic.fit(x, y), synthetic.population(world, "clean")
        for ratio in (0.0, 1.0, 2.0):
            yield f"averaging {ratio:g}", right(world.averaging, ratio * eta)
            yield f"averaging {ratio:g} limit", exact(gaussian.normal_cdf((1 - ratio) * synthetic.REACH))
            yield f"standard {ratio:g}", right(standard, ratio * eta)
            yield f"standard {ratio:g} limit", exact(limit.accuracy(world, ratio * eta))
        robust = synthetic.fit_adversarially(x, y, 2 * eta)
        yield "adversarial 0", right(robust)
        yield "adversarial 2", right(robust, 2 * eta)
        for kind in ("rand", "det"):
            for ratio in c.ratios:
                made = synthetic.constructed(kind, standard, x, y, ratio * eta, seed)
                found = synthetic.population(world, kind, ratio * eta)
                yield f"{kind} {ratio:g}", right(synthetic.fit(*made))
                yield f"{kind} {ratio:g} limit", exact(found.accuracy(world))
            leaked = synthetic.constructed(kind, world.robust_only, x, y, 2 * eta, seed)
            yield f"robust source {kind}", right(synthetic.fit(*leaked))
            limit_of_leak = synthetic.population(world, kind, 2 * eta, (True, False))
            yield f"robust source {kind} limit", exact(limit_of_leak.accuracy(world))
        starts = [synthetic.shuffled(x, seed + 1000 * i) for i in range(c.starts)]
        for name, feature, count in (
            ("D_R", world.robust_only, 1),
            ("D_NR", standard, 1),
            ("D_R many", world.robust_only, c.starts),
        ):
            inverted = [synthetic.with_features_of(x, start, feature) for start in starts[:count]]
            student = synthetic.fit(torch.cat(inverted), y.repeat(count))
            yield f"{name} 0", right(student)
            yield f"{name} 2", right(student, 2 * eta)


def gaussians(config: Gaussians, seed: int) -> Stage:
    return Stage("gaussian_theory", 1, _SolvedGaussians(config, seed), {}, "Gaussian model")


def adversarial_squares(config: Squares, seed: int) -> Stage:
    return Stage("adversarial_squares", 1, _TrainedSquares(config, seed), {}, f"squares seed {seed}")


def synthetic_world(config: Synthetic, seed: int) -> Stage:
    return Stage("synthetic", 1, _SampledWorld(config, seed), {}, f"synthetic world seed {seed}")


def fit_name(variances: tuple[float, ...], eps: float) -> str:
    """diag(100, 1) eps 1"""
    return f"diag({', '.join(f'{v:g}' for v in variances)}) eps {eps:g}"
