"""Restricted ImageNet: nine superclasses of ILSVRC-2012, from its folders of WordNet ids.

Tsipras et al. 2019; Ilyas et al. 2019, table 2; MadryLab/robustness. Given there by index into the sorted folders.
Here by the WordNet ids at both ends as well: the ids between them must be as many as the indices, so a folder that
holds these classes alone will do, and one with other classes among them (the full ImageNet) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from raylab.data.folder import ImageFolder, images_in
from raylab.data.reader import DataError, RawFile, missing


class _Superclass(NamedTuple):
    name: str
    first: int  # inclusive ImageNet indices: the order of sorted WordNet ids
    last: int
    first_wnid: str
    last_wnid: str


SUPERCLASSES = (
    _Superclass("dog", 151, 268, "n02085620", "n02113978"),
    _Superclass("cat", 281, 285, "n02123045", "n02124075"),
    _Superclass("frog", 30, 32, "n01641577", "n01644900"),
    _Superclass("turtle", 33, 37, "n01664065", "n01669191"),
    _Superclass("bird", 80, 100, "n01795545", "n01860187"),
    _Superclass("primate", 365, 382, "n02480495", "n02494079"),
    _Superclass("fish", 389, 397, "n02514041", "n02655020"),
    _Superclass("crab", 118, 121, "n01978287", "n01981276"),
    _Superclass("insect", 300, 319, "n02165105", "n02268443"),
)
MEAN, STD = (0.4717, 0.4499, 0.3837), (0.2600, 0.2516, 0.2575)
SIZE = 224
FOLDERS = {"train": "train", "test": "val"}


@dataclass(frozen=True)
class RestrictedImageNet(ImageFolder):
    """`<root>/train/n02085620/*.JPEG` and `<root>/val/n02085620/*.JPEG`: the layout of ImageNet for torchvision.

    Images are scaled to a shorter side of 256/224 of `size` and cut to the centre, as the paper's test images are.
    Rows run through the superclasses, and in each through the first image of every class, then the second, ..., so that
    a cut keeps all breeds of dogs.
    """

    mean: float | tuple[float, ...] = MEAN
    std: float | tuple[float, ...] = STD
    size: int | None = SIZE

    def content(self, root: Path, split: str) -> list[RawFile]:
        # The folder too, since it decides the order of rows.
        return [RawFile(path, f"{label} {path.parent.name}") for label, path in self._files(root, split)]

    @property
    def _short(self) -> int | None:
        return None if self.size is None else round(self.size * 256 / 224)

    def _shape(self, root: Path) -> tuple[int, int, int]:
        del root
        size = self.size or SIZE
        return 3, size, size  # some of its photographs are grey, and the first might be

    def _classes(self, root: Path) -> tuple[str, ...]:
        del root
        return tuple(superclass.name for superclass in SUPERCLASSES)

    def _files(self, root: Path, split: str) -> list[tuple[int, Path]]:
        top = root / self.folder / FOLDERS[split]
        found = []
        for label, wnids in enumerate(_wnids(top)):
            images = {wnid: images_in(top / wnid) for wnid in wnids}
            ranked = sorted((rank, wnid) for wnid, names in images.items() for rank in range(len(names)))
            found += [(label, top / wnid / images[wnid][rank]) for rank, wnid in ranked]
        return found


def _wnids(top: Path) -> list[list[str]]:
    """The class folders of every superclass, by name."""
    if not top.is_dir():
        raise missing(top.parent, f"{top.name}/n02085620/*.JPEG")
    there = sorted(path.name for path in top.iterdir() if path.is_dir())
    chosen = [[wnid for wnid in there if s.first_wnid <= wnid <= s.last_wnid] for s in SUPERCLASSES]
    for superclass, wnids in zip(SUPERCLASSES, chosen, strict=True):
        wanted = superclass.last - superclass.first + 1
        ends = [superclass.first_wnid, superclass.last_wnid]
        if len(wnids) != wanted or [wnids[0], wnids[-1]] != ends:
            raise DataError(
                f"{top}: {superclass.name} is {wanted} folders from {ends[0]} to {ends[1]} (ImageNet's "
                f"{superclass.first} to {superclass.last}), found {len(wnids)} there, {len(there)} in all; give "
                "the 1000 folders of ILSVRC-2012, named by WordNet id, the validation images sorted into theirs"
            )
    return chosen
