"""A folder of class folders: `<root>/train/<class>/*.png` and `<root>/test/<class>/*.png`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raylab.data.decode import decode, decode_all
from raylab.data.reader import (
    SPLITS,
    DataError,
    Description,
    Ids,
    Labels,
    Pixels,
    RawFile,
    check_size,
    missing,
    per_channel,
)

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class ImageFolder:
    """Classes are the folders of `train` by name; ids run through the classes, then the files, by name."""

    folder: str = ""
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    size: int | None = None  # scale the shorter side to this and cut out the centre; None: all are of one size

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
        return _folders(root / self.folder / "train")

    def _files(self, root: Path, split: str) -> list[tuple[int, Path]]:
        """(label, file) of every row."""
        top, names = root / self.folder / split, self._classes(root)
        unknown = set(_folders(top)) - set(names)
        if unknown:
            raise DataError(f"{top}: class {min(unknown)} has no folder in train; the classes are {', '.join(names)}")
        files = [
            (label, path)
            for label, name in enumerate(names)
            for path in sorted((top / name).glob("*"))
            if path.suffix.lower() in ENDINGS
        ]
        if not files:
            raise missing(top, f"{split}/CLASS/*.png (or {', '.join(ENDINGS[1:])})")
        return files


def _folders(top: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in top.glob("*") if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise missing(top, f"{top.name}/CLASS/*.png")
    return tuple(names)
