"""The photographs of frost that CIFAR-10-C draws from, in a folder of the user's: they are not raylab's to ship."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from raylab.core.frost import Photograph
from raylab.data.decode import decode
from raylab.data.reader import DataError
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Metrics, Stage, TaskContext

# sha256 of the files beside HEN's generator (hendrycks/robustness, ImageNet-C/create_c). A sixth there is never drawn.
PUBLISHED: Mapping[str, str] = {
    "frost1.png": "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
    "frost2.png": "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
    "frost3.png": "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
    "frost4.jpg": "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
    "frost5.jpg": "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
}
SMALLEST = (315, 527)  # pixels: the least height and the least width among them
SOURCE = "hendrycks/robustness has them in ImageNet-C/create_c, the package imagecorruptions in its folder frost"


@dataclass(frozen=True)
class Frost:
    """The identity of the photographs: their bytes, never where they are."""

    doing = ("reading", "set of photographs")
    in_driver = True  # the files are where the driver is
    files: tuple[tuple[str, str], ...]  # name and sha256
    folder: Path = field(compare=False)

    def run(self, context: TaskContext) -> Metrics:
        for name in PUBLISHED:
            encoded = _published(self.folder, name)
            pixels = np.broadcast_to(photograph := decode(encoded, str(self.folder / name)), (3, *photograph.shape[1:]))
            buffer = io.BytesIO()
            np.save(buffer, pixels, allow_pickle=False)
            context.write(f"{name}.npy", buffer.getvalue(), None)
        return {}


def frost(folder: str) -> Stage:
    """The five photographs below a folder, as an artifact that every worker can read.

    Raises DataError where one is missing or is another picture than the published one.
    """
    path = Path(os.path.expanduser(folder))  # which leaves a user that there is not, for the reader to say
    for name in PUBLISHED:
        _published(path, name)
    return Stage("frost", 1, Frost(tuple(PUBLISHED.items()), path), {}, "photographs of frost")


def photographs(artifact: Artifact) -> tuple[Photograph, ...]:
    """(3, H, W) each, in the order that the benchmark numbers them."""
    return tuple(np.load(io.BytesIO(artifact.read(f"{name}.npy")), allow_pickle=False) for name in PUBLISHED)


def _published(folder: Path, name: str) -> bytes:
    file = folder / name
    if not file.is_file():
        raise DataError(f"corruptions.frost: {file}: no such file; give the folder of {', '.join(PUBLISHED)}: {SOURCE}")
    encoded = file.read_bytes()
    if hashlib.sha256(encoded).hexdigest() != PUBLISHED[name]:
        raise DataError(
            f"corruptions.frost: {file}: not the photograph that CIFAR-10-C was made with, whose sha256 is "
            f"{PUBLISHED[name][:12]}...; with another picture it is another corruption: {SOURCE}"
        )
    return encoded
