"""Labels for learning from errors: what a network said of images it gets wrong, and the controls of that."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding

Ids = NDArray[np.int64]
Classes = NDArray[np.int64]

# predicted: what the network said.  shuffled: what it said of another error on the same true class.  random: any wrong
# class.  true: the right one.
Labelling = Literal["predicted", "shuffled", "random", "true"]
LABELLINGS: tuple[Labelling, ...] = get_args(Labelling)


def relabel(
    labelling: Labelling,
    true: Classes,  # (N,), in {0, ..., num_classes - 1}
    predicted: Classes,  # (N,)
    ids: Ids,  # (N,), each once
    num_classes: int,
    seed: int,
) -> Classes:
    """(N,) new labels; keyed by (seed, labelling, id): the order of the rows decides nothing.

    `shuffled` keeps the confusion matrix and takes from it what the images have to do with it; on errors alone it and
    `random` are wrong everywhere, as `predicted` is.
    Raises ValueError for another labelling, a class out of range, or an id that comes twice.
    """
    _check(labelling, true, predicted, ids, num_classes)
    match labelling:
        case "predicted":
            return predicted.copy()
        case "shuffled":
            return _shuffled(true, predicted, ids, seed)
        case "random":
            return (true + 1 + seeding.integers(seed, "errors/random", ids, num_classes - 1)) % num_classes
        case "true":
            return true.copy()


def chosen(
    ids: Ids,  # (N,), each once
    count: int | None,  # None: all
    seed: int,
) -> NDArray[np.int64]:
    """Ascending positions of `count` rows, drawn by id: more of them contain the fewer.

    Raises ValueError where there are fewer.
    """
    if count is None or count == len(ids):
        return np.arange(len(ids))
    if not 0 < count < len(ids):
        raise ValueError(f"errors: {count} examples were asked for, there are {len(ids)}; ask for at most these")
    return np.sort(seeding.permutation(seed, "errors/chosen", ids)[:count])


def entropy(
    labels: Classes,  # (N,), N >= 1
    num_classes: int,
) -> float:
    """Of the histogram of labels, in [0, 1]: 1 where all classes are as frequent, 0 where there is one."""
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    seen = shares[shares > 0]
    return float(abs(seen @ np.log(seen)) / np.log(num_classes))


def _shuffled(true: Classes, predicted: Classes, ids: Ids, seed: int) -> Classes:
    """A permutation of what was said within each true class."""
    labels = predicted.copy()
    for cls in np.unique(true):
        rows = np.flatnonzero(true == cls)
        rows = rows[np.argsort(ids[rows], kind="stable")]
        labels[rows] = predicted[rows[seeding.permutation(seed, "errors/shuffled", ids[rows])]]
    return labels


def _check(labelling: Labelling, true: Classes, predicted: Classes, ids: Ids, num_classes: int) -> None:
    if labelling not in LABELLINGS:
        raise ValueError(f"errors: labels are one of {', '.join(LABELLINGS)}, got {labelling!r}")
    if not true.shape == predicted.shape == ids.shape:
        raise ValueError(
            f"errors: one label, prediction and id an example, got {true.shape}, {predicted.shape} and {ids.shape}"
        )
    if len(np.unique(ids)) < len(ids):
        raise ValueError(f"errors: each id once, got {len(ids) - len(np.unique(ids))} twice; number the examples")
    for what, classes in (("labels", true), ("predictions", predicted)):
        if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
            raise ValueError(f"errors: {what} in [0, {num_classes}), got {classes.min()} to {classes.max()}")
