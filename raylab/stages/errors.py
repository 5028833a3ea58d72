"""Sets labelled by a network: only what it gets wrong, or all of another domain.  (Wallace, Distill 2019)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core import errors
from raylab.core.errors import Labelling
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages.images import truths

PART_ROWS = 5000


@dataclass(frozen=True)
class Labelled:
    """The identity of a labelled set, beside its images and what a network said of them."""

    doing = ("labelling", "data set")
    in_driver = True  # rows are copied; nothing is computed
    labels: Labelling
    errors_only: bool
    count: int | None  # of examples, drawn by id; None: all
    num_classes: int
    seed: int  # of the controls' labels, and of the draw

    def run(self, context: TaskContext) -> Metrics:
        data = context.inputs["data"]
        rows = data.without_images()
        ids, true = rows["id"].astype(np.int64), rows["label"].astype(np.int64)
        said = _said(context.inputs["said"], ids) if "said" in context.inputs else true
        kept = np.flatnonzero(said != true) if self.errors_only else np.arange(len(ids))
        if not len(kept):
            raise ValueError(f"{data.label}: no error is left to learn from; stop its teacher earlier")
        kept = kept[errors.chosen(ids[kept], self.count, self.seed)]
        ids, true, said = ids[kept], true[kept], said[kept]
        # The classes of another domain are not this network's.
        was = true if self.errors_only or self.labels != "predicted" else np.zeros_like(true)
        label = errors.relabel(self.labels, was, said, ids, self.num_classes, self.seed)
        if self.errors_only and self.labels != "true":
            _assert_all_wrong(label, true, data)
        new = {"id": ids, "label": label, "source_label": true, "prediction": said}
        new |= {name: column[kept] for name, column in truths(rows).items()}
        for index, part in enumerate(_parts(data, kept, new)):
            context.write_table(part, index)
        histogram = np.bincount(label, minlength=self.num_classes)
        return {
            "rows": len(ids),
            "of": len(rows["id"]),
            "histogram": tuple(int(count) for count in histogram),
            "entropy": errors.entropy(label, self.num_classes),
        }


def mislabeled(
    data: Stage,
    said: Stage,
    num_classes: int,
    seed: int,
    *,
    labels: Labelling = "predicted",
    count: int | None = None,
    name: str,
) -> Stage:
    """The examples that a network gets wrong, with the class it said, or with those of a control.

    `said` is its evaluation on `data`. No right pair remains (but with labels "true", the ceiling).
    """
    labelled = Labelled(labels, True, count, num_classes, seed)
    return Stage("labelled", 1, labelled, {"data": data, "said": said}, name)


def labelled_by(data: Stage, said: Stage, num_classes: int, *, name: str) -> Stage:
    """All examples, of whatever domain, with the class that a network said, or that they have in another set; their own
    classes do not count."""
    labelled = Labelled("predicted", False, None, num_classes, 0)
    return Stage("labelled", 1, labelled, {"data": data, "said": said}, name)


def some_of(data: Stage, count: int, num_classes: int, seed: int, *, name: str) -> Stage:
    """`count` examples of a set, drawn by id, with their labels."""
    labelled = Labelled("true", False, count, num_classes, seed)
    return Stage("labelled", 1, labelled, {"data": data}, name)


def _said(evaluation: Artifact, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = evaluation.without_images()
    if not np.array_equal(rows["id"], ids):
        raise ValueError(f"labelled: {evaluation.label} is of other examples; evaluate the network on these")
    return np.asarray(rows["prediction" if "prediction" in rows else "label"], dtype=np.int64)


def _assert_all_wrong(label: NDArray[np.int64], true: NDArray[np.int64], data: Artifact) -> None:
    """Whatever the code above does: one right pair would teach what the experiment says was not taught."""
    right = int((label == true).sum())
    if right:
        raise AssertionError(f"{data.label}: {right} of {len(label)} pairs of an errors-only set are right")


def _parts(data: Artifact, kept: NDArray[np.int64], new: Batch) -> Iterator[dict[str, NDArray[Any]]]:
    """The images of the kept rows beside the new columns, some rows at a time."""
    for low in range(0, len(kept), PART_ROWS):
        some = slice(low, low + PART_ROWS)
        start = int(kept[some][0])
        images = data.batch(start, int(kept[some][-1]) + 1)["image"][kept[some] - start]
        yield {name: column[some] for name, column in new.items()} | {"image": np.ascontiguousarray(images)}
