"""The sources of labelled images by name, and the three things one asks of them: describe, read, content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from raylab.core.seefar import World
from raylab.data import digest
from raylab.data.cifar import CIFAR100, Cifar10, lossless_subset
from raylab.data.cifar_shifted import Cifar10_1, Cifar10C
from raylab.data.constructed_datasets import ConstructedDatasets
from raylab.data.embedded import Digits, seefar
from raylab.data.exported import ExportedSet
from raylab.data.folder import ImageFolder
from raylab.data.idx import Idx
from raylab.data.npz import Npz
from raylab.data.own import Own
from raylab.data.parquet import Parquet
from raylab.data.photos import Photos
from raylab.data.reader import SPLITS, Cut, DataError, Description, Images, Reader, listed, readable
from raylab.data.restricted_imagenet import RestrictedImageNet

Options = Mapping[str, object]
Root = str | os.PathLike[str] | None

TEST_ONLY = "test_only"  # an option of those whose test images may be without training images
FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Source:
    """How to make a reader, with which options, and what a data root must hold for it."""

    reader: Callable[..., Reader]
    options: tuple[str, ...] = ()
    files: str = ""  # empty: embedded, needs no root
    own_classes: bool = False  # whether people declare its classes: then some may be without training images


SOURCES: Mapping[str, Source] = {
    "digits": Source(Digits, ("seed", "train_rows", "mean", "std")),
    "seefar": Source(seefar, ("train_rows", "test_rows", *(field.name for field in fields(World)))),
    "photos": Source(Photos, ("train_rows", "test_rows", "size")),
    "mnist": Source(
        partial(Idx, "MNIST", tuple("0123456789"), 0.1307, 0.3081),
        files="MNIST/raw/train-images-idx3-ubyte[.gz]",
    ),
    "fashion_mnist": Source(
        partial(Idx, "FashionMNIST", FASHION_NAMES, 0.2860, 0.3530),
        files="FashionMNIST/raw/train-images-idx3-ubyte[.gz]",
    ),
    "cifar10": Source(Cifar10, files="cifar-10-batches-py/data_batch_1 or cifar10/plain_text/train-*.parquet"),
    "cifar100": Source(lambda: CIFAR100, files="cifar-100-python/train and test"),
    "cifar10_1": Source(
        Cifar10_1, ("version", "folder"), files="CIFAR-10.1/datasets/cifar10.1_v6_data.npy (and labels) and CIFAR-10"
    ),
    "cifar10_c": Source(
        Cifar10C,
        ("corruption", "severity", "folder"),
        files="CIFAR-10-C/fog.npy (and its like), CIFAR-10-C/labels.npy and CIFAR-10",
    ),
    "cifar10_lossless_subset": Source(lossless_subset, files="cifar10_lossless_subset/plain_text/train-*.parquet"),
    "constructed_datasets": Source(
        ConstructedDatasets,
        ("set", "folder"),
        files="release_datasets/d_robust_CIFAR/CIFAR_ims (and its like) and CIFAR-10",
    ),
    "restricted_imagenet": Source(
        RestrictedImageNet, ("folder", "size"), files="train/n02085620/*.JPEG and val/n02085620/*.JPEG"
    ),
    "parquet": Source(
        Parquet,
        ("folder", "image", "label", "class_names", "mean", "std", "size", TEST_ONLY),
        files="train.parquet (or train-00000-of-00001.parquet, ...) and test.parquet",
        own_classes=True,
    ),
    "npz": Source(
        Npz,
        ("folder", "class_names", "mean", "std", TEST_ONLY),
        files="train.npz (or train/set.npz) and test.npz",
        own_classes=True,
    ),
    "exported": Source(
        ExportedSet,
        ("format", "folder", "class_names", "mean", "std", TEST_ONLY),
        files="train and test, as `raylab store export --format ... --to` writes each",
        own_classes=True,
    ),
    "own": Source(Own, ("function", "arguments", "class_names", "mean", "std"), own_classes=True),
    "image_folder": Source(
        ImageFolder, ("folder", "mean", "std", "size", TEST_ONLY), files="train/CLASS/*.png and test/CLASS/*.png"
    ),
}


def describe(
    name: str,
    root: Root = None,
    options: Options | None = None,
    cuts: Mapping[str, Cut] | None = None,  # by split
) -> Description:
    """What a data set is, cheaply: before compute, so that a network that cannot take it is refused early.

    Raises DataError for missing or broken files, for a split without rows and for a class without training images
    (a note says so where the data's owner declared it); at most one image is decoded, the others show in `read`.
    """
    reader, folder = _open(name, root, options)
    with readable(folder):
        description = reader.describe(folder)
        labels = {split: reader.labels(folder, split).labels for split in SPLITS}
    rows = dict(description.rows)
    for split, cut in (cuts or {}).items():
        rows[split] = len(cut.positions(labels[_known(split)]))
    for split, found in labels.items():
        if not len(found):
            raise DataError(f"{folder if SOURCES[name].files else name}: {split} has no rows; copy its files again")
    counts = np.bincount(labels["train"], minlength=description.num_classes)
    empty = [description.class_names[label] for label in np.flatnonzero(counts == 0)]
    note = _note(name, folder, empty) if empty else ""
    return replace(description, rows=rows, note=" ".join(filter(None, (description.note, note))))


def read(
    name: str,
    root: Root,
    split: str,  # train or test
    options: Options | None = None,
    cut: Cut | None = None,
) -> Images:
    """The rows of a split in the order of their ids; only what a cut keeps is decoded."""
    return next(blocks(name, root, split, options, cut))


def blocks(
    name: str,
    root: Root,
    split: str,
    options: Options | None = None,
    cut: Cut | None = None,
    rows: int | None = None,  # of a block; None: all
) -> Iterator[Images]:
    """The rows that `read` gives, block by block: for data that do not fit into memory. At least one block."""
    reader, folder = _open(name, root, options)
    with readable(folder):
        ids, labels = reader.labels(folder, _known(split))
    kept = (cut or Cut()).positions(labels)
    ids, labels = ids[kept], labels[kept]
    for low in range(0, max(len(ids), 1), rows or max(len(ids), 1)):
        some = slice(low, None if rows is None else low + rows)
        with readable(folder):
            images = reader.images(folder, split, ids[some])
        yield Images(ids[some], images, labels[some])


def content(
    name: str,
    root: Root,
    split: str,
    options: Options | None = None,
    cache: Path | None = None,  # folder of the memo of digests
) -> str:
    """What identifies raw data: the sha256 of a split's files, or the name and version of its generator."""
    reader, folder = _open(name, root, options)
    with readable(folder):
        what = reader.content(folder, _known(split))
        return what if isinstance(what, str) else digest.of_files(what, cache)


def _note(name: str, folder: Path, empty: list[str]) -> str:
    """What a report says of classes without training images. Raises DataError where the source cannot lack any."""
    if SOURCES[name].own_classes:
        return (
            f"Declared, but without training images: {listed(empty)}. Chance levels and random targets count them too."
        )
    where, remedy = f"data.name={name}", "take more rows (data.train_rows)"
    if SOURCES[name].files:
        where = f"{folder}: {name}"
        remedy = "give all of it, or images with fewer classes as data.name=parquet or image_folder"
    raise DataError(f"{where}: no training image of class {listed(empty)}, which would be a target too; {remedy}")


def _open(name: str, root: Root, options: Options | None) -> tuple[Reader, Path]:
    if name not in SOURCES:
        raise DataError(f"data.source: one of {', '.join(SOURCES)}, got {name!r}")
    source, given = SOURCES[name], dict(options or {})
    unknown = [option for option in given if option not in source.options]
    if unknown:
        takes = ", ".join(source.options) or "none"
        raise DataError(f"data.{unknown[0]}: no option of source {name}; its options: {takes}")
    folder = None if root is None else os.path.expanduser(root)
    if source.files and (folder is None or not os.path.isdir(folder)):
        problem = "no data root is given" if folder is None else f"{folder} is no folder"
        raise DataError(
            f"data.root: {problem}; source {name} reads {source.files} below it: set data.root=FOLDER or the "
            "environment variable RAYLAB_DATA"
        )
    return source.reader(**given), Path(folder or "")


def _known(split: str) -> str:
    if split not in SPLITS:
        raise DataError(f"split: one of {', '.join(SPLITS)}, got {split!r}")
    return split
