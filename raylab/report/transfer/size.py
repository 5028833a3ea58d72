"""What a run of this size can and cannot show, said before anyone asks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from raylab.recipes.transfer_matrix import Cell
from raylab.report.numbers import share
from raylab.report.per_seed import student
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.verdict import FLIPS

# Images of the whole set.
FULL_TRAIN = {"cifar10": 50_000, "cifar10_1": 50_000, "mnist": 60_000, "fashion_mnist": 60_000}
ABLE = 0.8  # test accuracy of ordinary networks below which a missing effect says little


@dataclass(frozen=True)
class Size:
    """The few numbers that decide what can be shown."""

    train: int  # images of a seed
    test: int
    seeds: int
    det_controls: bool | None  # every det row has a control; None where no det set was made
    success: float  # of the attack, on the source that it leads to the target most often
    able: float  # test accuracy of the best ordinary network, independent or a source
    full_train: int | None = None  # of the whole data set, where it is known
    robust: bool = True  # every det row has a robust source
    shared: bool = False  # seeds share test images, or may: their ids are of one data set


def size_of(matrix: Matrix) -> Size:
    config = matrix.config
    det = [row for row in matrix.rows if row.kind == "det"]
    first = Cell("set", config.seeds[0], config.sources[0], "", config.kinds[0])
    return Size(
        train=matrix.artifacts[first].rows,
        test=max(row.accuracy.n for row in matrix.rows) // len(config.seeds),
        seeds=len(config.seeds),
        det_controls=all(row.controls for row in det) if det else None,
        success=max((r.success.mean for r in det or matrix.rows if not math.isnan(r.success.mean)), default=math.nan),
        able=max(estimate.mean for found in (matrix.standard, matrix.sources) for estimate in found.values()),
        full_train=FULL_TRAIN.get(config.data.name),
        robust=all(row.robust is not None for row in det),
        shared=len({config.data.images_of(seed) for seed in config.seeds}) < len(config.seeds),
    )


def size_notes(size: Size) -> tuple[str, ...]:
    """One sentence for each limit that applies; the first gives the numbers."""
    worst = 100 * math.sqrt(0.25 / size.test)
    plural = "seed" if size.seeds == 1 else "seeds"
    notes = [
        f"{size.train:,} training and {size.test:,} test images a seed, {size.seeds} {plural}: the test images "
        f"alone make the accuracy of one network uncertain by up to ± {worst:.1f} points."
    ]
    if size.seeds == 1:
        notes.append("One seed says nothing about another network, split or world: no row can be judged.")
    else:
        t = student(size.seeds - 1)
        least = "Student's t" + ("; fewer where the images that seeds share decide, and not networks" * size.shared)
        notes.append(
            f"With {size.seeds} seeds a difference counts here when it exceeds {'at most ' * size.shared}{t:.1f} of "
            f"its standard errors ({least}): {'small effects' if size.seeds < 5 else 'effects below that'} stay unseen."
        )
    if size.full_train is not None and size.train < size.full_train:
        notes.append(
            f"The whole data set has {size.full_train:,} training images, and this run uses "
            f"{share(size.train / size.full_train, 0)} % of them: published numbers are not to be expected here."
        )
    if size.det_controls is None:
        notes.append("Only det can contradict what the images show; without it rand and other stay weak tests.")
    elif not size.det_controls:
        notes.append("Some det sets have no control here: nothing can be said of them.")
    if size.success < FLIPS:
        notes.append(
            f"The attack leads no source to its target in more than {share(size.success, 0)} % of the images. A push "
            "too small to flip a network is still a consistent signal: what students learn may be leakage of "
            "robust features."
        )
    if size.able < ABLE:
        notes.append(
            f"The best ordinary network reaches {share(size.able, 0)} % on clean images. Sources this weak have "
            "little to pass on: no effect at this size does not mean no effect."
        )
    if not size.robust:
        notes.append(
            "Some det rows have no robust source beside them: leakage of robust features is not excluded there."
        )
    return tuple(notes)
