"""The draw and the plan of the cases: See-Far worlds with and without non-robust features.

Every case is a small transfer matrix in a world whose truth is known: one source, one student, `det`. The rule was
fitted on the split `calibration`; `held_out` has amplitudes, sizes, radii and epochs that the other never uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from raylab.bench import Bench
from raylab.core import seeding
from raylab.engine.stage import Compute, Stage
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.transfer import Controls, RobustSource, TransferCell, TransferMatrix
from raylab.experiments.worlds.config import SplitName, WorldStudy
from raylab.stages.construction import Attack
from raylab.stages.dataset import SeeFarData
from raylab.stages.recipe import Adversary, Recipe

Value = TypeVar("Value")
SAYS_NOTHING = 0.1  # reliability of a non-robust feature in ten classes
DEAREST = 48_000  # images that a network sees in its training, at most: what keeps a case at seconds
DEAREST_CONVOLUTIONS = 12_500
SHAPE_HOLDS = 6.0  # radius by shape (robust feature) amplitude up to which oracles hardly ever read another one
# Radius by toogit (non-robust feature) amplitude from which the strongest can be half-way another: 1.3 / sqrt(2).
TOOGIT_TURNS = 0.92


@dataclass(frozen=True)
class Ranges:
    """What the cases of a split are drawn from, each entry as often as the others: what is cheap is there twice."""

    eps: Sequence[float]
    toogit_amplitude: Sequence[float]
    toogit_reliability: Sequence[float]
    shape_amplitude: Sequence[float]
    clutter: Sequence[float]
    train_rows: Sequence[int]
    epochs: Sequence[int]
    robust_eps: Sequence[float]  # of the robust source's training, in the attack's radius
    first_world: int  # cases share no world, nor do splits


RANGES: dict[SplitName, Ranges] = {
    "calibration": Ranges(
        eps=(0.4, 0.6, 0.8, 1.0, 1.2, 1.4),
        toogit_amplitude=(0.3, 0.45, 0.6, 0.75),
        toogit_reliability=(0.7, 0.85, 0.95),
        shape_amplitude=(0.12, 0.16, 0.2, 0.24),
        clutter=(0.05, 0.1, 0.15),
        train_rows=(*[2000] * 9, *[3000] * 4, 6000, 6000, 12_000),
        epochs=(4, 4, 4, 6, 9, 12),
        robust_eps=(1.0, 1.25),
        first_world=1_000_000,
    ),
    "held_out": Ranges(
        eps=(0.5, 0.7, 0.9, 1.1, 1.3),
        toogit_amplitude=(0.35, 0.5, 0.55, 0.7),
        toogit_reliability=(0.75, 0.9, 1.0),
        shape_amplitude=(0.13, 0.18, 0.22),
        clutter=(0.07, 0.12),
        train_rows=(*[2500] * 9, *[4500] * 3, 9000),
        epochs=(5, 5, 5, 8, 10),
        robust_eps=(1.1, 1.2),
        first_world=2_000_000,
    ),
}
# (source, student), as often as they are here; convolutions cost several times as much.
NETWORKS = (
    *[("mlp", "mlp")] * 7,
    *[("mlp", "mlp_bottleneck16")] * 3,
    *[("mlp_bottleneck16", "mlp")] * 3,
    *[("mlp_bottleneck16", "mlp_bottleneck16")] * 2,
    ("linear", "mlp"),
    ("linear", "linear"),
    ("mlp", "linear"),
    ("cnn", "mlp"),
    ("mlp", "cnn"),
)


class WorldsCell(NamedTuple):
    """One measurement of one case: the fields of its matrix's cell, behind its name. With `reliance` some more:

    usage    source         the source on images whose features disagree
    alone    source         the source on images of a non-robust feature alone
    alone    source target  the student on these
    oracles  -              both oracles on the clean test images
    """

    case: str  # "without 3", "having 3"
    role: str
    seed: int
    source: str = ""
    target: str = ""
    kind: str = ""
    control: str = ""
    on: str = ""

    @property
    def of_matrix(self) -> TransferCell:
        return TransferCell(*self[1:])


def plan(config: WorldStudy) -> dict[WorldsCell, Stage]:
    """Every measurement of every case."""
    cells: dict[WorldsCell, Stage] = {}
    for name, case in cases(config).items():
        matrix = transfer_matrix.plan(case)
        if config.reliance:
            matrix |= dict(_reliance(case, matrix))
        cells |= {WorldsCell(name, *cell): stage for cell, stage in matrix.items()}
    return cells


def _reliance(case: TransferMatrix, matrix: Mapping[TransferCell, Stage]) -> Iterator[tuple[TransferCell, Stage]]:
    (source,), (target,), cell = case.sources, case.targets, TransferCell
    for seed in case.seeds:
        bench = Bench.open(case.data, seed, case.compute)
        network = matrix[cell("network", seed, source)]
        yield cell("usage", seed, source), bench.on_probe(network, f"feature reliance of source {source} seed {seed}")
        student = matrix[cell("network", seed, source, target, "det")]
        for place, by, whose in ((("", ""), network, "source"), ((target, "det"), student, "student")):
            title = f"non-robust features alone to {whose} of {source} seed {seed}"
            yield cell("alone", seed, source, *place), bench.on_probe(by, title, "only_toogit")
        rows, title = bench.data.rows["test"], f"clean test images seed {seed}"
        yield cell("oracles", seed), bench.oracles(bench.data.test, title, rows)


def cases(config: WorldStudy) -> dict[str, TransferMatrix]:
    """The matrices by name: a pure function of the split and the number of the case."""
    numbers = range(config.first, config.first + max(config.without, config.having))
    named = {f"without {i}": (i, False) for i in numbers[: config.without]}
    named |= {f"having {i}": (i, True) for i in numbers[: config.having]}
    return {name: _case(config, number, having) for name, (number, having) in named.items()}


def _case(config: WorldStudy, number: int, having: bool) -> TransferMatrix:
    r = RANGES[config.split]
    purpose = f"worlds/{config.split}/{'having' if having else 'without'}"
    drawn = iter(seeding.uniform(0, purpose, np.array([number]), 16)[0])

    def pick(values: Sequence[Value]) -> Value:
        return values[int(next(drawn) * len(values))]

    # At the radius hardly any robust feature can be turned, and in a world that has non-robust ones every one of them:
    # all others ask something else than whether the two can be told apart.
    eps, clutter, reliability = pick(r.eps), pick(r.clutter), pick(r.toogit_reliability)
    shape = pick([a for a in r.shape_amplitude if eps <= SHAPE_HOLDS * a])
    amplitude = pick([a for a in r.toogit_amplitude if not having or TOOGIT_TURNS * a <= eps])
    source, target = pick(NETWORKS)
    dearest = DEAREST_CONVOLUTIONS if "cnn" in (source, target) else DEAREST
    rows = pick([n for n in r.train_rows if n * min(r.epochs) <= dearest])
    epochs = pick([e for e in r.epochs if rows * e <= dearest])
    if not having:  # two ways to have none: features that say nothing, and no features
        amplitude, reliability = pick(((amplitude, SAYS_NOTHING), (0.0, reliability)))
    factor = pick(r.robust_eps)
    first = r.first_world + 2_000_000 * having + 100 * number  # nobody draws 20,000 cases, nor 100 seeds a case
    adversary = Adversary(eps=factor * eps, steps=config.adversary_steps, step_share=1.5 / config.adversary_steps)
    return TransferMatrix(
        study=config.study,
        data=SeeFarData(
            name="seefar",
            train_rows=rows,
            test_rows=config.test_rows,
            toogit_reliability=reliability,
            toogit_amplitude=amplitude,
            shape_amplitude=shape,
            clutter=clutter,
        ),
        sources=(source,),
        targets=(target,),
        kinds=("det",),
        seeds=tuple(range(first, first + config.seeds)),
        attack=Attack(eps=eps, steps=config.attack_steps),
        train=Recipe(epochs=epochs),
        network_lr={"linear": 1e-2},
        controls=Controls(random_labels=False, untrained=False, leakage=None, robust=RobustSource(adversary=adversary)),
        robustness=None,
        neighbours=0,
        compute=Compute(batch_rows=500, shard_rows=12_000),
    )
