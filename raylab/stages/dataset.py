"""Raw data as artifacts: `open_data` makes the stages of one data set, keyed by the bytes of its files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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

    def run(self, context: TaskContext) -> Metrics:
        rows = sum(context.write_table(batch, index) for index, batch in enumerate(self._parts()))
        return {"rows": rows, "class_names": self.class_names, "note": self.note}

    def _parts(self) -> Iterator[Batch]:
        for batch in self._blocks():
            for low in range(0, len(batch["id"]), self.part_rows):
                yield {name: column[low : low + self.part_rows] for name, column in batch.items()}

    def _blocks(self) -> Iterator[Batch]:
        """A few parts at a time: never all of a data set that is larger than memory."""
        data, split, seed = self.data, self.split, self.seed
        options, rows = data.options(seed), BLOCK_PARTS * self.part_rows
        for ids, images, labels in raw.blocks(data.name, self.root, split, options, data.cut, rows):
            batch: Batch = {"id": ids, "image": images, "label": labels}
            if isinstance(data, SeeFarData):
                batch |= truths(data.world(seed).examples(split, ids))
            yield batch


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
    part_rows = max(1, min(PART_ROWS, PART_BYTES // (4 * math.prod(about.shape))))

    def stage(split: str) -> Stage:
        content = raw.content(data.name, root, split, options, home() / "cache")
        read = _RawData(data.only(split), split, seed, content, root, about.class_names, about.note, part_rows)
        return Stage("data", 1, read, {}, f"{data.name} {split} seed {seed}")

    world = data.world(seed) if isinstance(data, SeeFarData) else None
    images = ImageSpec(about.shape, about.num_classes, about.mean, about.std)
    return Data(stage("train"), stage("test"), images, about.rows, world)


def probe(world: World, kind: str, count: int = 1000) -> Stage:
    """Images of See-Far whose features disagree (`conflict`) or stand alone (`only_shape`, `only_toogit`)."""
    return Stage("probe", 1, _Probe(world, kind, count), {}, f"seefar probe {kind} world {world.seed}")
