"""What a config may say of its data: one class a source, told apart by `name`. Roots and folders are no identity."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from raylab import data as raw
from raylab.config import AnyValue, Config
from raylab.core.seefar import World
from raylab.engine import objects
from raylab.engine.identity import ADDED_LATER

Share = Annotated[float, Field(ge=0, le=1)]


class _Source(Config):
    """What all sources have in common: a cut to the first rows of every class."""

    seeded: ClassVar[bool] = False  # whether a seed makes its images; a split is fixed else
    per_class: Annotated[int, Field(ge=1)] | None = None  # keep so many rows of every class; None: all
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None  # keep this share of the rows of every class; None: all

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

    @property
    def own(self) -> dict[str, Any]:
        """The source's own fields, as far as they are given."""
        common = ("name", "root", "per_class", "fraction")
        return {name: value for name, value in self if name not in common and value is not None}

    def options(self, seed: int) -> Mapping[str, object]:
        """What `raylab.data` is asked for."""
        return {"seed": seed, **self.own} if self.seeded else self.own

    def images_of(self, seed: int, split: str = "test") -> str:
        """A name of the images that ids are of: seeds that have one name share the images whose ids they share."""
        return f"{split}, world {seed}" if self.seeded else split

    @property
    def folder_of_data(self) -> str | None:
        return None


class DigitsData(_Source):
    """scikit-learn's 8x8 digits; a seed chooses the split."""

    seeded = True
    name: Literal["digits"] = "digits"  # which data
    # Training images; None: 1437 of the 1797.
    train_rows: Annotated[Annotated[int, Field(ge=10, le=1787)] | None, ADDED_LATER] = None
    # A network's first layer is (x - mean) / std; None: .5 and .25.
    mean: Annotated[float | None, ADDED_LATER] = None
    std: Annotated[Annotated[float, Field(gt=0)] | None, ADDED_LATER] = None  # standard deviation of pixels; None: .25

    def images_of(self, seed: int, split: str = "test") -> str:
        """Ids are rows of the whole set, whatever its split."""
        del seed
        return split


class SeeFarData(_Source):
    """The synthetic world with a known robust feature (See-Far calls it shape) and a non-robust one (toogit). A seed is
    a world."""

    seeded = True
    name: Literal["seefar"]  # which data
    train_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 3000  # training images
    test_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 1000  # test images
    shape_reliability: Share = 0.85  # share whose robust feature tells the class; 0.1: it says nothing
    toogit_reliability: Share = 0.95  # share whose non-robust feature tells the class; 0.1: it says nothing
    shape_amplitude: Annotated[float, Field(ge=0, le=1)] = 0.2  # RMS of a pixel of the robust feature
    toogit_amplitude: Annotated[float, Field(ge=0, le=10)] = 0.6  # L2 norm of the non-robust feature
    clutter: Share = 0.1  # root mean square of a pixel's smooth random background
    noise: Share = 0.02  # standard deviation of the noise of a pixel
    size: Annotated[Annotated[int, Field(ge=16, le=128)] | None, ADDED_LATER] = None  # pixels a side; None: 16

    def only(self, split: str) -> SeeFarData:
        other = "test_rows" if split == "train" else "train_rows"
        return self.model_copy(update={other: 1})

    def world(self, seed: int) -> World:
        rows = {"train_rows", "test_rows"}
        return World(seed, **{name: value for name, value in self.own.items() if name not in rows})


class PhotosData(_Source):
    """Grey patches of scikit-learn's two photographs: images of another domain than any of the others."""

    name: Literal["photos"] = "photos"  # which data
    train_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 12_000  # training images
    size: Annotated[int, Field(ge=1, le=64)] = 8  # pixels a side


class _Rooted(_Source):
    root: str | None = Field(default=None, exclude=True)  # folder of all data sets; None: RAYLAB_DATA. Where, not what

    @property
    def folder_of_data(self) -> str | None:
        root = self.root or os.environ.get("RAYLAB_DATA")
        return root and os.path.expanduser(root)  # no shell has done so after `data.root=`


class KnownData(_Rooted):
    """The field's data sets, from a data root."""

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "cifar10_lossless_subset"]  # which data


class _OneSplit(_Rooted):
    """CIFAR-10 with one other split: all that was made of the rest is found again."""

    other: ClassVar[str] = "test"

    def only(self, split: str) -> _Source:
        if split == self.other:
            return self
        return KnownData(name="cifar10", root=self.root, per_class=self.per_class, fraction=self.fraction)


class ShiftedData(_OneSplit):
    """CIFAR-10 with the test images of CIFAR-10.1."""

    name: Literal["cifar10_1"]  # which data
    version: Literal["v4", "v6"] = "v6"  # which version of CIFAR-10.1
    folder: str | None = Field(default=None, exclude=True)  # folder below the root; None: `CIFAR-10.1/datasets`


class CorruptedData(_OneSplit):
    """CIFAR-10 with the test images of CIFAR-10-C, of one file and severity."""

    name: Literal["cifar10_c"]  # which data
    corruption: Annotated[str, Field(pattern=r"^[a-z_]+$")]  # the name of its file, without .npy
    severity: Annotated[int, Field(ge=1, le=5)] = 5  # the most severe is 5
    folder: str | None = Field(default=None, exclude=True)  # folder below the root; None: `CIFAR-10-C`


class ConstructedData(_OneSplit):
    """The sets that Ilyas et al. 2019 released; their students are tested on CIFAR-10, as those of our own sets are."""

    other = "train"
    name: Literal["constructed_datasets"]  # which data
    set: Literal["d_robust", "d_non_robust", "d_rand", "d_det"]  # which of the released sets
    folder: str | None = Field(default=None, exclude=True)  # folder below the root; None: `release_datasets`


class RestrictedImageNetData(_Rooted):
    """Nine superclasses of ImageNet, from the folders `train` and `val` of WordNet ids."""

    name: Literal["restricted_imagenet"]  # which data
    folder: str | None = Field(default=None, exclude=True)  # folder below the root
    size: Annotated[int, Field(ge=8, le=512)] = 224  # pixels a side


class _OwnData(_Rooted):
    folder: str | None = Field(default=None, exclude=True)  # folder of the images, below the root
    size: Annotated[int, Field(ge=1, le=4096)] | None = None  # resize the short side, crop the centre
    # Mean of pixels, for all or each channel; a network's first layer is (x - mean) / std.
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25  # standard deviation of pixels, for all or each channel


class ParquetData(_OwnData):
    """Anybody's images as the Hugging Face hub lays them out."""

    name: Literal["parquet"]  # which data
    image: str | None = None  # column; None: `image` or `img`
    label: str | None = None  # column; None: `label`
    class_names: tuple[str, ...] | None = None  # names of the labels 0, 1, ...; None: those in the files


class _ArrayData(_Rooted):
    class_names: tuple[str, ...] | None = None  # names of the labels 0, 1, ...; None: their numbers
    # Mean of pixels, for all or each channel; a network's first layer is (x - mean) / std.
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25  # standard deviation of pixels, for all or each channel


class NpzData(_ArrayData):
    """Anybody's arrays, sets that were exported as npz first."""

    name: Literal["npz"]  # which data
    folder: str | None = Field(default=None, exclude=True)  # folder of the files, below the root


class ExportedData(_ArrayData):
    """Sets that were exported as Parquet or WebDataset, every bit of their float32 images."""

    name: Literal["exported"]  # which data
    format: Literal["huggingface", "webdataset"]  # as `raylab store export --format` was told
    folder: str | None = Field(default=None, exclude=True)  # folder that holds `train` and `test`, below the root


class OwnData(_ArrayData):
    """Whatever a function of one's own gives."""

    name: Literal["own"]  # which data
    # module:function, called as `function(split, root, **arguments)`: images (N, C, H, W), uint8 or float32 in [0, 1],
    # and labels (N,), of the splits "train" and "test"; `root` is data.root, RAYLAB_DATA or None. The arrays are part
    # of the identity, the code that made them is not.
    function: Annotated[str, AfterValidator(objects.check_reference)]
    arguments: dict[str, AnyValue] = Field(default={})  # keyword arguments of the function

    def options(self, seed: int) -> Mapping[str, object]:
        return {**super().options(seed), "arguments": json.dumps(self.arguments, sort_keys=True)}


class FolderData(_OwnData):
    """Anybody's folder of class folders."""

    name: Literal["image_folder"]  # which data


DataConfig = Annotated[
    DigitsData
    | SeeFarData
    | PhotosData
    | KnownData
    | ShiftedData
    | CorruptedData
    | ConstructedData
    | RestrictedImageNetData
    | ParquetData
    | NpzData
    | ExportedData
    | OwnData
    | FolderData,
    Field(discriminator="name"),
]
