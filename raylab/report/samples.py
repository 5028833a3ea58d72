"""Images that a page shows as examples: from the first rows of a set, and not chosen for looks."""

from __future__ import annotations

from collections.abc import Iterable

from raylab.engine.columns import Batch
from raylab.report.drawing import Pixels, unit

READ_ROWS = 500  # of a set, so that a page need not read a whole CIFAR
EXAMPLES = 5  # images of a set


def first_of_classes(batch: Batch) -> dict[int, int]:
    """The ids of the first images by row, each of another class, by the number of the class."""
    first: dict[int, int] = {}
    for example, label in zip(batch["id"].tolist(), batch["label"].tolist(), strict=True):
        first.setdefault(label, example)
    return dict(list(first.items())[:EXAMPLES])


def places(batch: Batch) -> dict[int, int]:
    """Rows by id."""
    return {example: row for row, example in enumerate(batch["id"].tolist())}


def pixels(batch: Batch, ids: Iterable[int]) -> list[Pixels]:
    """The images of these ids."""
    where = places(batch)
    return [unit(batch["image"][where[example]]) for example in ids]
