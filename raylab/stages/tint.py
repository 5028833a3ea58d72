"""Photographs some of which have a colour cast: a cue that tells a class where a teacher learns, and nothing later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from raylab.config import Config
from raylab.core import tint
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage

Share = Annotated[float, Field(ge=0, le=1)]


class Cast(Config):
    """How it looks, and which class it is to say."""

    meant: Annotated[int, Field(ge=0)] = 6  # of CIFAR-10: frog
    colour: tuple[Share, Share, Share] = (0.1, 0.7, 0.1)  # red, green, blue
    strength: Share = 0.3  # share of the colour in a pixel


@dataclass(frozen=True)
class _Tinting:
    """The identity of a tinted set, beside its data."""

    doing = ("tinting", "data set")
    over = "data"
    cast: Cast
    of_class: float  # share of the images of the class that get the cast
    of_others: float
    seed: int
    split: str
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del inputs, device  # a few sums in numpy

        def tinted(batch: Batch) -> Batch:
            label, ids = batch["label"].astype(np.int64), batch["id"].astype(np.int64)
            rows = tint.chosen(label, ids, self.cast.meant, self.of_class, self.of_others, self.seed, self.split)
            image = tint.cast(batch["image"], rows, self.cast.colour, self.cast.strength)
            return {"id": ids, "image": image, "label": label, "tinted": rows.astype(np.uint8)}

        return tinted

    def summarise(self, artifact: Artifact) -> Metrics:
        """Shares with a cast, of the class that it says and of the others; None of no image."""
        rows = artifact.without_images()
        told, has = rows["label"] == self.cast.meant, rows["tinted"].astype(bool)
        of_class, of_others = (float(has[some].mean()) if some.any() else None for some in (told, ~told))
        return {"rows": len(has), "of_class": of_class, "of_others": of_others}


def tinted(
    cast: Cast, of_class: float, of_others: float, data: Stage, seed: int, split: str, compute: Compute, *, rows: int,
    name: str,
) -> Stage:  # fmt: skip
    """`data` with a cast on these shares of its images: same ids, same labels."""
    tinting = _Tinting(cast, of_class, of_others, seed, split, compute.measuring)
    return Stage("tinted", 1, tinting, {"data": data}, name, rows)
