"""Raw data as artifacts: `open_data` makes the stages of one data set, keyed by the bytes of its files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from raylab import data as raw
from raylab.core.seefar import World
from raylab.engine.columns import Batch
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.site import home
from raylab.stages.data_config import (
    ConstructedData,
    DataConfig,
    DigitsData,
    FolderData,
    KnownData,
    ParquetData,
    PhotosData,
    RestrictedImageNetData,
    SeeFarData,
)
from raylab.stages.images import ImageSpec, truths

__all__ = [
    "ConstructedData",
    "Data",
    "DataConfig",
    "DigitsData",
    "FolderData",
    "KnownData",
    "ParquetData",
    "PhotosData",
    "RestrictedImageNetData",
    "SeeFarData",
    "Split",
    "open_data",
    "probe",
]

PART_ROWS = 5000  # of one file at most: some tens of megabytes of small images
PART_BYTES = 2**28  # of one file at most, as if its pixels were float32
BLOCK_PARTS = 8  # are read together: some data are opened again for every block
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Data:
    """One data set: its two stages, and what is known of it before anything runs."""

    train: Stage
    test: Stage
    images: ImageSpec
    rows: Mapping[str, int]
    class_names: tuple[str, ...]
    world: World | None = None  # of See-Far


@dataclass(frozen=True)
class _RawData:
    """The identity of a raw split: how it is read, and the content of what is read."""

    doing = ("reading", "data set")
    in_driver = True  # raw files are where the driver is
    data: Any  # a DataConfig; the root and its like are no part of its canonical form
    split: str
    seed: int
    content: str
    root: str | None = field(compare=False)
    class_names: tuple[str, ...] = field(compare=False)
    note: str = field(compare=False)  # what a report must say beside every number from this data
    part_rows: int = field(compare=False)
    more: Mapping[str, object] = field(compare=False, default_factory=dict)  # options beside those of the config

    def run(self, context: TaskContext) -> Metrics:
        rows = sum(context.write_table(batch, index) for index, batch in enumerate(self.parts()))
        return {"rows": rows, "class_names": self.class_names, "note": self.note}

    def parts(self) -> Iterator[Batch]:
        for batch in self._blocks():
            for low in range(0, len(batch["id"]), self.part_rows):
                yield {name: column[low : low + self.part_rows] for name, column in batch.items()}

    def _blocks(self) -> Iterator[Batch]:
        """A few parts at a time: never all of a data set that is larger than memory."""
        data, split, seed = self.data, self.split, self.seed
        options, rows = {**data.options(seed), **self.more}, BLOCK_PARTS * self.part_rows
        for ids, images, labels in raw.blocks(data.name, self.root, split, options, data.cut, rows):
            batch: Batch = {"id": ids, "image": images, "label": labels}
            if isinstance(data, SeeFarData):
                batch |= truths(data.world(seed).examples(split, ids))
            yield batch


@dataclass(frozen=True)
class _MappedData:
    """A raw split whose classes go by other numbers."""

    doing = ("reading", "data set")
    in_driver = True
    raw: _RawData
    labels: tuple[int, ...]  # by the number that the files have; -1: these rows are left out

    def run(self, context: TaskContext) -> Metrics:
        rows = sum(context.write_table(self._mapped(batch), index) for index, batch in enumerate(self.raw.parts()))
        return {"rows": rows, "class_names": self.raw.class_names, "note": self.raw.note}

    def _mapped(self, batch: Batch) -> Batch:
        label = np.array(self.labels)[batch["label"]]
        return {name: column[label >= 0] for name, column in {**batch, "label": label}.items()}


@dataclass(frozen=True)
class _Probe:
    """The identity of See-Far images that show which feature decides."""

    doing = ("making", "probe set")
    in_driver = True
    world: World
    kind: str
    count: int

    def run(self, context: TaskContext) -> Metrics:
        sample = dict(self.world.probe(self.kind, self.count))
        # An evaluation needs a label: the class of the feature that is present, the shape's where both are.
        sample["label"] = sample["toogit_class"] if self.kind == "only_toogit" else sample["shape_class"]
        return {"rows": context.write_table(sample)}


def open_data(data: Any, seed: int) -> Data:
    """The stages of a data set, after a look at its files. The seed chooses the split or the world, where there is one.

    Raises raylab.data.DataError where files are missing or broken.
    """
    root, options = data.folder_of_data, data.options(seed)
    about = raw.describe(data.name, root, options, dict.fromkeys(raw.SPLITS, data.cut))
    seed = seed if "seed" in options else 0
    part_rows = _part_rows(about.shape)

    def stage(split: str) -> Stage:
        content = raw.content(data.name, root, split, options, home() / "cache")
        read = _RawData(data.only(split), split, seed, content, root, about.class_names, about.note, part_rows)
        return Stage("data", 1, read, {}, f"{data.name} {split} seed {seed}")

    world = data.world(seed) if isinstance(data, SeeFarData) else None
    images = ImageSpec(about.shape, about.num_classes, about.mean, about.std)
    return Data(stage("train"), stage("test"), images, about.rows, about.class_names, world)


def open_test(data: Any, seed: int, classes: Mapping[str, str | None], known: Data) -> tuple[Stage, int]:
    """The test images of further data, with labels of the known ones, and how many there are at most.

    `classes`: names of its classes to those of the known data, None: left out; those that it does not have keep theirs.
    Data sets of somebody's own need no training images.

    Raises raylab.data.DataError where files are missing or broken, images have another shape, or a class is unknown.
    """
    more = {raw.TEST_ONLY: True} if raw.TEST_ONLY in raw.SOURCES[data.name].options else {}
    root, options = data.folder_of_data, {**data.options(seed), **more}
    about = raw.describe(data.name, root, options, {"test": data.cut})
    if about.shape != known.images.shape:
        raise raw.DataError(f"images of shape {known.images.shape} are needed, those of the data, got {about.shape}")
    labels, used = _numbers(about.class_names, classes, known.class_names), seed if "seed" in options else 0
    content = raw.content(data.name, root, "test", options, home() / "cache")
    part_rows = _part_rows(about.shape)
    read = _RawData(data.only("test"), "test", used, content, root, known.class_names, about.note, part_rows, more)
    same = about.class_names == known.class_names and labels == tuple(range(len(labels)))
    what = read if same else _MappedData(read, labels)
    return Stage("data", 1, what, {}, f"{data.name} test seed {seed}"), about.rows["test"]


def _part_rows(shape: tuple[int, int, int]) -> int:
    return max(1, min(PART_ROWS, PART_BYTES // (4 * math.prod(shape))))


def _numbers(own: Sequence[str], classes: Mapping[str, str | None], known: Sequence[str]) -> tuple[int, ...]:
    """By the number of each own class: the known class of that name."""
    if wrong := [name for name in classes if name not in own]:
        raise raw.DataError(f"classes: no class {raw.listed(wrong)} there, only {raw.listed(own)}; correct the name")
    meant = {name: classes.get(name, name) for name in own}
    if wrong := [name for name in meant.values() if name is not None and name not in known]:
        raise raw.DataError(
            f"classes: {raw.listed(wrong)} is no class of the data, which are {raw.listed(known)}; say which class "
            "each is (classes: {plane: airplane}), or null to leave it out"
        )
    return tuple(-1 if name is None else known.index(name) for name in meant.values())


def probe(world: World, kind: str, count: int = 1000) -> Stage:
    """Images of See-Far whose features disagree (`conflict`) or stand alone (`only_shape`, `only_toogit`)."""
    return Stage("probe", 1, _Probe(world, kind, count), {}, f"seefar probe {kind} world {world.seed}")
