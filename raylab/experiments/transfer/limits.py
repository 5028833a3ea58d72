"""What a run of this size can and cannot show, said before anyone asks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from raylab.engine.study import Study
from raylab.experiments.transfer.config import TransferMatrix
from raylab.experiments.transfer.measure import Matrix
from raylab.experiments.transfer.plan import TransferCell
from raylab.experiments.transfer.verdict import FLIPS
from raylab.report.numbers import share
from raylab.report.per_seed import student
from raylab.report.significance import detectable
from raylab.stages.own import weights_of

# Images of the whole set.
FULL_TRAIN = {"cifar10": 50_000, "cifar10_1": 50_000, "cifar100": 50_000, "mnist": 60_000, "fashion_mnist": 60_000}
# Quartiles, over the 55 differences of matrices in docs/measured.csv, of how much a difference varies between seeds.
SPREADS = (0.019, 0.037, 0.069)
ABLE = 0.8  # test accuracy of ordinary networks below which a missing effect says little


def limits(matrix: Matrix) -> Iterator[str]:
    """One sentence for each limit that applies; the first gives the numbers."""
    c, train, seeds = matrix.config, matrix.training_rows, len(matrix.config.seeds)
    test = max((one.n for row in matrix.rows for one in row.accuracy.values()), default=0)
    if test:
        yield (
            f"{train:,} training and {test:,} test images a seed, {seeds} seed{'s' * (seeds > 1)}: the test images "
            f"alone make the accuracy of one network uncertain by up to ± {100 * math.sqrt(0.25 / test):.1f} points."
        )
    if seeds == 1:
        yield "One seed says nothing about another network, split or world: no row can be judged."
    else:
        yield _least_difference(matrix)
    full = FULL_TRAIN.get(c.data.name, train)
    if train < full:
        yield (
            f"The whole data set has {full:,} training images, and this run uses {share(train / full, 0)} % of them: "
            "published numbers are not to be expected here."
        )
    if fixed := [name for name in c.sources if weights_of(name)]:
        yield (
            f"{', '.join(fixed)}: weights that were not trained here, the same in every seed. Their intervals are over "
            "splits or worlds, targets and students, and say nothing of other networks trained alike."
        )
    yield from _of_rows(matrix)


def detects(study: Study[TransferMatrix, TransferCell]) -> Iterator[str]:
    """Before anything runs: the smallest difference between a student and a control that the plan can detect."""
    seeds = len(study.config.seeds)
    tested = {cell: stage.passes for cell, stage in study.cells.items() if cell.role == "student" and cell.control}
    if not tested:
        yield "No control is planned, so there is no difference to detect."
        return
    if seeds == 1:
        yield "One seed detects no difference: it says nothing about another network, split or world."
        return
    images, tests = min(tested.values()), _comparisons(study)
    low, middle, high = (share(detectable(seeds, sd)) for sd in SPREADS)
    quartiles = ", ".join(share(sd) for sd in SPREADS)
    all_of_them = detectable(seeds, SPREADS[1], tests)
    adjusted = f"{share(all_of_them)} points" if all_of_them < 1.0 else "none"
    yield (
        f"The smallest difference between a student and a control that is found in 4 of 5 runs ({seeds} seeds, paired "
        f"test of 5 %) is {middle} points, where it varies between seeds as the median of those measured; {low} and "
        f"{high} at their quartiles (standard deviations of {quartiles} points). The {images:,} test images of a seed "
        f"alone make it vary by up to {100 * math.sqrt(0.5 / images):.1f} points. Adjusted by Holm for all {tests} "
        f"tests: {adjusted}."
    )


def _comparisons(study: Study[TransferMatrix, TransferCell]) -> int:
    """Tests of the table: each student beside each control that it has."""
    cells = {cell for cell in study.cells if cell.role == "student" and cell.seed == study.config.seeds[0]}
    own = [cell for cell in cells if not cell.control]
    beside = {(cell.source, cell.target, cell.kind, cell.control) for cell in cells if cell.control}
    names = {control for *_, control in beside}
    return sum(
        any((source, cell.target, cell.kind, name) in beside for source in {cell.source, ""})
        for cell in own
        for name in names
    )


def _least_difference(matrix: Matrix) -> str:
    c, seeds = matrix.config, len(matrix.config.seeds)
    shared = len({c.data.images_of(seed) for seed in c.seeds}) < seeds  # test images, or may share them
    least = "Student's t" + ("; fewer where the images that seeds share decide, and not networks" * shared)
    return (
        f"With {seeds} seeds a difference counts here when it exceeds {'at most ' * shared}{student(seeds - 1):.1f} of "
        f"its standard errors ({least}): {'small effects' if seeds < 5 else 'effects below that'} stay unseen."
    )


def _of_rows(matrix: Matrix) -> Iterator[str]:
    det = matrix.of("det")
    if not det:
        yield "Only det can contradict what the images show; without it rand and other stay weak tests."
    elif not all(row.controls for row in det):
        yield "Some det sets have no control here: nothing can be said of them."
    success = [row.success.mean.mean for row in det or matrix.rows]
    if (most := max((one for one in success if not math.isnan(one)), default=math.nan)) < FLIPS:
        yield (
            f"The attack success rate is at most {share(most, 0)} % on any source. A perturbation too small to flip a "
            "network is still a consistent signal: what students learn may be leakage of robust features."
        )
    able = [one.mean.mean for networks in (matrix.standard, matrix.sources) for one in networks.values() if one]
    if (best := max(able, default=math.nan)) < ABLE:
        yield (
            f"The best ordinary network reaches {share(best, 0)} % on clean images. Sources this weak have little to "
            "pass on: no effect at this size does not mean no effect."
        )
    if not all(row.robust for row in det):
        yield "Some det rows have no robust source beside them: leakage of robust features is not excluded there."
