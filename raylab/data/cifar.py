"""CIFAR-10 and CIFAR-100: the original pickles, of CIFAR-10 also Parquet as the Hugging Face hub lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylab.data import pickles
from raylab.data.parquet import Parquet
from raylab.data.reader import DataError, Description, Ids, Labels, Pixels, RawFile, Reader, check_labels, missing

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)  # of the pixels; (0.2023, 0.1994, 0.2010), often seen, averages the images' own
PICKLES = "cifar-10-batches-py"
SHAPE = (3, 32, 32)
JPEG_NOTE = (
    "JPEG CIFAR: these images went through JPEG, which removes part of the high-frequency signal; compare "
    "with numbers from the original CIFAR-10 by direction only."
)


@dataclass(frozen=True)
class Cifar10:
    """`<root>/cifar-10-batches-py`, else `<root>/<folder>/{train,test}-*.parquet`."""

    folder: str = "cifar10/plain_text"

    def describe(self, root: Path) -> Description:
        description = self._reader(root).describe(root)
        if description.shape != SHAPE:
            raise DataError(f"{root}: images of CIFAR-10 have shape {SHAPE}, got {description.shape}")
        return description

    def labels(self, root: Path, split: str) -> Labels:
        return self._reader(root).labels(root, split)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return self._reader(root).images(root, split, ids)

    def content(self, root: Path, split: str) -> list[RawFile] | str:
        return self._reader(root).content(root, split)

    def _reader(self, root: Path) -> Reader:
        if (root / PICKLES).is_dir():  # first, because it is certain to be without loss
            return CIFAR10
        if (root / self.folder).is_dir():
            return lossless_subset(self.folder)
        raise missing(root, f"{PICKLES}/data_batch_1 or {self.folder}/train-*.parquet")


def lossless_subset(folder: str = "cifar10_lossless_subset/plain_text") -> Parquet:
    """CIFAR-10, or some of it, in Parquet."""
    return Parquet(folder, "img", "label", CLASS_NAMES, MEAN, STD, jpeg_note=JPEG_NOTE)


@dataclass(frozen=True)
class _Pickled:
    """The pickles of cs.toronto.edu/~kriz/cifar.html: ids run through the batches in their order."""

    folder: str
    batches: Mapping[str, tuple[str, ...]]  # by split
    label: str  # the key of the labels in a batch
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def describe(self, root: Path) -> Description:
        rows = {split: len(self.labels(root, split).ids) for split in self.batches}
        return Description(SHAPE, self.class_names, rows, self.mean, self.std)

    def labels(self, root: Path, split: str) -> Labels:
        labels = np.concatenate([labels for _, labels in self._batches(root, split)])
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        return np.concatenate([images for images, _ in self._batches(root, split)])[ids]

    def content(self, root: Path, split: str) -> list[RawFile]:
        return [RawFile(path, "batch") for path in self._paths(root, split)]

    def _paths(self, root: Path, split: str) -> list[Path]:
        paths = [root / self.folder / name for name in self.batches[split]]
        for path in paths:
            if not path.is_file():
                raise missing(path.parent, f"{self.folder}/{path.name}")
        return paths

    def _batches(self, root: Path, split: str) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        return [_batch(path, self.label, len(self.class_names)) for path in self._paths(root, split)]


CIFAR10 = _Pickled(
    PICKLES,
    {"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)},
    "labels",
    CLASS_NAMES,
    MEAN,
    STD,
)
FINE_NAMES = (  # in the order of the file `meta`
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
    "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
    "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
    "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
# Mean and standard deviation of the pixels, as CIFAR-10's.
CIFAR100 = _Pickled(
    "cifar-100-python",
    {"train": ("train",), "test": ("test",)},
    "fine_labels",
    tuple(FINE_NAMES.split()),
    (0.5071, 0.4865, 0.4409),
    (0.2673, 0.2564, 0.2762),
)


def _batch(path: Path, label: str, num_classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = pickles.load(path)
    data, labels = batch.get("data"), batch.get(label)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{path}: a batch has `data` and `{label}`, got {sorted(batch)}; is it of another CIFAR?")
    if not all(isinstance(label, int) for label in labels):
        raise DataError(f"{path}: labels must be whole numbers, got {labels[:3]}")
    if data.shape != (len(labels), 3072):
        raise DataError(f"{path}: {len(labels)} labels need data of shape ({len(labels)}, 3072), got {data.shape}")
    numbers = np.array(labels, dtype=object)  # whole numbers of any size: int64 would overflow before the check
    check_labels(numbers, num_classes, str(path))
    return data.reshape(-1, *SHAPE), numbers.astype(np.int64)
