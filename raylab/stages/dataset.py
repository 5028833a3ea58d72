"""Raw data as artifacts: `open_data` makes the stages of one data set, keyed by the bytes of its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from raylab import columns
from raylab import data as raw
from raylab.columns import Batch
from raylab.config import Config
from raylab.core.seefar import World
from raylab.site import home
from raylab.stage import Metrics, Stage, TaskContext
from raylab.stages.images import ImageSpec

PART_ROWS = 5000  # of one file: some tens of megabytes
Split = Literal["train", "test"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Source(Config):
    """What all sources have in common: a cut to the first rows of every class."""

    per_class: Annotated[int, Field(ge=1)] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_cut(self) -> _Source:
        if self.per_class is not None and self.fraction is not None:
            raise ValueError("per_class and fraction both cut the data; give one of them")
        return self

    @property
    def cut(self) -> raw.Cut:
        return raw.Cut(self.per_class, self.fraction)

    def only(self, split: str) -> _Source:
        """What decides this split alone: the identity of its images."""
        del split
        return self

    def options(self, seed: int) -> Mapping[str, object]:
        """What `raylab.data` is asked for; sources with a fixed split ignore the seed."""
        del seed
        return {}

    @property
    def folder_of_data(self) -> str | None:
        return None


class DigitsData(_Source):
    """scikit-learn's 8x8 digits; a seed chooses the split."""

    name: Literal["digits"] = "digits"

    def options(self, seed: int) -> Mapping[str, object]:
        return {"seed": seed}


class SeeFarData(_Source):
    """The synthetic world with known features; a seed is a world."""

    name: Literal["seefar"]
    train_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    test_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    shape_reliability: Share = 0.85  # 0.1 of ten classes: shapes that say nothing
    toogit_reliability: Share = 0.95  # 0.1 of ten classes: toogits that say nothing
    shape_amplitude: Annotated[float, Field(ge=0, le=1)] = 0.2
    toogit_amplitude: Annotated[float, Field(ge=0, le=10)] = 0.6
    clutter: Share = 0.1
    noise: Share = 0.02

    def only(self, split: str) -> SeeFarData:
        other = "test_rows" if split == "train" else "train_rows"
        return self.model_copy(update={other: 1})

    def world(self, seed: int) -> World:
        fields = self.model_dump(exclude={"name", "train_rows", "test_rows", "per_class", "fraction"})
        return World(seed, **fields)

    def options(self, seed: int) -> Mapping[str, object]:
        return {"seed": seed} | self.model_dump(exclude={"name", "per_class", "fraction"})


class _Rooted(_Source):
    root: str | None = Field(default=None, exclude=True)  # None: RAYLAB_DATA; where, not what

    @property
    def folder_of_data(self) -> str | None:
        return self.root or os.environ.get("RAYLAB_DATA")


class KnownData(_Rooted):
    """The field's data sets, from a data root."""

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar10_lossless_subset"]


class _OwnData(_Rooted):
    folder: str | None = Field(default=None, exclude=True)  # below the root
    size: Annotated[int, Field(ge=1, le=4096)] | None = None  # resize the short side, crop the centre
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25

    def options(self, seed: int) -> Mapping[str, object]:
        del seed
        given = {"size": self.size, "mean": self.mean, "std": self.std, "folder": self.folder}
        return {name: value for name, value in given.items() if value is not None}


class ParquetData(_OwnData):
    """Anybody's images as the Hugging Face hub lays them out."""

    name: Literal["parquet"]
    image: str | None = None  # column; None: `image` or `img`
    label: str | None = None
    class_names: tuple[str, ...] | None = None

    def options(self, seed: int) -> Mapping[str, object]:
        given = {"image": self.image, "label": self.label, "class_names": self.class_names}
        return {**super().options(seed), **{name: value for name, value in given.items() if value is not None}}


class FolderData(_OwnData):
    """Anybody's folder of class folders."""

    name: Literal["image_folder"]


DataConfig = Annotated[DigitsData | SeeFarData | KnownData | ParquetData | FolderData, Field(discriminator="name")]


@dataclass(frozen=True)
class Data:
    """One data set: its two stages, and what is known of it before anything runs."""

    train: Stage
    test: Stage
    images: ImageSpec
    rows: Mapping[str, int]
    world: World | None = None  # of See-Far


@dataclass(frozen=True)
class RawData:
    """The identity of a raw split: how it is read, and the content of what is read."""

    data: Any  # a DataConfig; the root and its like are no part of its canonical form
    split: str
    seed: int
    content: str


@dataclass(frozen=True)
class ReadBody:
    raw: RawData
    root: str | None
    class_names: tuple[str, ...]
    note: str  # what a report must say beside every number from this data
    in_driver = True  # raw files are where the driver is

    def run(self, context: TaskContext) -> Metrics:
        batch = self._read()
        for index, low in enumerate(range(0, len(batch["id"]), PART_ROWS)):
            table = columns.to_table({name: column[low : low + PART_ROWS] for name, column in batch.items()})
            context.write(f"part-{index:05d}.parquet", columns.to_parquet(table), table.num_rows)
        return {"rows": len(batch["id"]), "class_names": self.class_names, "note": self.note}

    def _read(self) -> Batch:
        data, split, seed = self.raw.data, self.raw.split, self.raw.seed
        ids, images, labels = raw.read(data.name, self.root, split, data.options(seed), data.cut)
        batch: Batch = {"id": ids, "image": images, "label": labels}
        if isinstance(data, SeeFarData):
            truth = data.world(seed).examples(split, ids)
            batch |= {name: truth[name] for name in ("shape_class", "toogit_class")}
        return batch


@dataclass(frozen=True)
class Probe:
    """The identity of See-Far images that show which feature decides."""

    world: World
    kind: str
    count: int


@dataclass(frozen=True)
class ProbeBody:
    probe: Probe
    in_driver = True

    def run(self, context: TaskContext) -> Metrics:
        p = self.probe
        sample = dict(p.world.probe(p.kind, p.count))
        # An evaluation needs a label: the class of the feature that is present, the shape's where both are.
        sample["label"] = sample["toogit_class"] if p.kind == "only_toogit" else sample["shape_class"]
        table = columns.to_table(sample)
        context.write("part-00000.parquet", columns.to_parquet(table), table.num_rows)
        return {"rows": table.num_rows}


def open_data(data: Any, seed: int) -> Data:
    """The stages of a data set, after a look at its files. The seed chooses the split or the world, where there is one.

    Raises raylab.data.DataError where files are missing or broken.
    """
    root, options = data.folder_of_data, data.options(seed)
    about = raw.describe(data.name, root, options, dict.fromkeys(raw.SPLITS, data.cut))
    seed = seed if "seed" in options else 0

    def stage(split: str) -> Stage:
        content = raw.content(data.name, root, split, options, home() / "cache")
        identity = RawData(data.only(split), split, seed, content)
        return Stage(
            "data",
            1,
            identity,
            {},
            ReadBody(identity, root, about.class_names, about.note),
            f"{data.name} {split} seed {seed}",
        )

    world = data.world(seed) if isinstance(data, SeeFarData) else None
    images = ImageSpec(about.shape, about.num_classes, about.mean, about.std)
    return Data(stage("train"), stage("test"), images, about.rows, world)


def probe(world: World, kind: str, count: int = 1000) -> Stage:
    """Images of See-Far whose features disagree (`conflict`) or stand alone (`only_shape`, `only_toogit`)."""
    identity = Probe(world, kind, count)
    return Stage("probe", 1, identity, {}, ProbeBody(identity), f"seefar probe {kind} world {world.seed}")
