"""Five pictures of noise under the names of CIFAR-10-C's photographs of frost, which are not ours to keep."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from raylab.stages.frost import PUBLISHED

FROSTS = [np.random.default_rng(k).integers(0, 256, (3, 240, 230)).astype(np.uint8) for k in range(len(PUBLISHED))]


def write_frosts(folder: Path) -> dict[str, str]:
    """Their sha256 by name, for `raylab.stages.frost.PUBLISHED`."""
    folder.mkdir(exist_ok=True)
    found = {}
    for name, pixels in zip(PUBLISHED, FROSTS, strict=True):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / name)
        found[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return found
