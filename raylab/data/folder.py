"""A folder of class folders: `<root>/train/<class>/*.png` and `<root>/test/<class>/*.png`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from raylab.data.decode import decode, decode_all
from raylab.data.reader import (
    SPELLINGS,
    SPLITS,
    DataError,
    Description,
    Ids,
    Labels,
    Pixels,
    RawFile,
    check_class_names,
    check_size,
    listed,
    missing,
    per_channel,
)

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class ImageFolder:
    """Classes are the folders of `train` by name; ids run through the classes, then the files, by name.

    Hidden files, and visible ones that are no images, are passed over. All else that is not read is refused.
    """

    folder: str = ""
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    size: int | None = None  # scale the shorter side to this and cut out the centre; None: all are of one size
    test_only: bool = False  # the test images stand for train too: there are no others

    def __post_init__(self) -> None:
        check_size(self.size)

    def describe(self, root: Path) -> Description:
        rows = {split: len(self._files(root, split)) for split in SPLITS}
        shape = self._shape(root)
        mean, std = per_channel(self.mean, shape[0], "data.mean"), per_channel(self.std, shape[0], "data.std")
        return Description(shape, self._classes(root), rows, mean, std)

    def labels(self, root: Path, split: str) -> Labels:
        labels = np.array([label for label, _ in self._files(root, split)], dtype=np.int64)
        return Labels(np.arange(len(labels)), labels)

    def images(self, root: Path, split: str, ids: Ids) -> Pixels:
        files = self._files(root, split)
        chosen = [files[row][1] for row in ids]
        encoded = ((path, str(path)) for path in chosen)
        return decode_all(encoded, len(chosen), self._shape(root), self.size, self._short)

    def content(self, root: Path, split: str) -> list[RawFile]:
        names = self._classes(root)
        return [RawFile(path, f"{label} {names[label]}") for label, path in self._files(root, split)]

    @property
    def _short(self) -> int | None:
        """What the shorter side is scaled to before the cut, if not to `size`."""
        return None

    def _shape(self, root: Path) -> tuple[int, int, int]:
        _, first = self._files(root, "train")[0]
        channels, height, width = decode(first, str(first), self.size).shape
        return channels, height, width

    def _classes(self, root: Path) -> tuple[str, ...]:
        top = self._top(root, "train")
        return check_class_names(_folders(top), str(top))

    def _top(self, root: Path, split: str) -> Path:
        split = "test" if self.test_only else split
        called = next((name for name in SPELLINGS[split] if (root / self.folder / name).is_dir()), split)
        return root / self.folder / called

    def _files(self, root: Path, split: str) -> list[tuple[int, Path]]:
        """(label, file) of every row."""
        top, names = self._top(root, split), self._classes(root)
        there = set(_folders(top))
        if unknown := there - set(names):
            raise DataError(f"{top}: class {min(unknown)} has no folder in train; the classes are {', '.join(names)}")
        return [
            (label, top / name / image)
            for label, name in enumerate(names)
            if name in there
            for image in images_in(top / name)
        ]


def images_in(folder: Path) -> list[str]:
    """Names of the images of a class, sorted.

    Raises DataError where there are none, and where some would be left out in silence: in a folder further down, of a
    kind that is not read, or by the name of an image and no regular file, such as a pipe or a link to nothing.
    """
    images, refused, passed_over = list[str](), list[str](), list[str]()
    for entry in _sorted(folder):
        if entry.name.startswith("."):
            passed_over.append(entry.name)
        elif not _is_file(entry):
            refused.append(_odd(entry))
        elif entry.name.lower().endswith(ENDINGS):
            images.append(entry.name)
        else:
            (refused if _is_image(entry.name) else passed_over).append(entry.name)
    if images and not refused:
        return images
    problem = ", but ".join(filter(None, ("no image", listed(refused + passed_over))))
    if images:
        problem = f"beside its images {listed(refused)}, which would be left out"
    raise DataError(
        f"{folder}: class {folder.name} has {problem}; images ({', '.join(ENDINGS)}) lie in the class's own folder: "
        "move or convert what shall be read, and remove the rest"
    )


def _folders(top: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted. Raises DataError where something else might be meant as a class or image."""
    if not top.is_dir():
        raise missing(top, f"{top.name}/CLASS/*.png")
    names, refused = list[str](), list[str]()
    for entry in _sorted(top):
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry.path):
            names.append(entry.name)
        elif not _is_file(entry):
            refused.append(_odd(entry))
        elif _is_image(entry.name):
            refused.append(entry.name)
    if refused:
        raise DataError(
            f"{top}: {listed(refused)} beside the class folders; move images into the folder of their class, and "
            "remove or mend the rest"
        )
    if not names:
        raise missing(top, f"{top.name}/CLASS/*.png")
    return tuple(names)


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a regular file or a link to one. os.path, because DirEntry raises OSError for a loop of links."""
    return entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path)


def _odd(entry: os.DirEntry[str]) -> str:
    """What a message calls an entry that is no regular file."""
    return f"{entry.name} ({'a folder' if os.path.isdir(entry.path) else 'no regular file'})"


def _is_image(name: str) -> bool:
    return name.lower().endswith((*ENDINGS, *_unread_endings()))


@lru_cache(maxsize=1)
def _unread_endings() -> tuple[str, ...]:
    """Of images that are not read: what else Pillow can open, and some that it cannot."""
    known = Image.registered_extensions()  # imports all of Pillow's formats, hence only where something is in doubt
    kinds = [ending for ending, kind in known.items() if kind in Image.OPEN and ending not in ENDINGS]
    return (*kinds, ".heic", ".heif", ".svg")
