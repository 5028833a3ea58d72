"""See-Far: a synthetic world whose robust and non-robust features are known.

    x = round8(clip(1/2 + a_r j_r R[c_r](shifted) + clutter z + a_n j_n N[c_n] + noise w, 0, 1))

R are the *shapes*: low frequencies, large norm, so robust. N are the *toogits*: high frequencies, small norm;
an L2 budget of 0.6 to 1.0 turns one toogit into another and cannot turn a shape. Given the label, c_r and c_n
agree with it independently, each with its reliability, so the best accuracy from either feature alone is
known, and oracles read both from any image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Feature = Literal["shape", "toogit"]
Sample = dict[str, NDArray[Any]]  # id, shape_class, toogit_class, maybe label (N,); image (N, 1, H, W) uint8

VERSION = 1  # raised when the images of a world change
CLASS_NAMES = ("toogit", "gab", "fazz", "wim", "plov", "dask", "murn", "kelb", "zint", "ohm")
PROBES = ("conflict", "only_shape", "only_toogit")
ABSENT = -1  # the class of a feature that an image does not have

SHAPE_BAND = (0.5, 2.3)  # cycles per image; no constant part, so a shape is no change of brightness
CLUTTER_BAND = (0.0, 2.3)  # low frequencies are busy and high ones quiet, as in photographs
TOOGIT_BAND = (5.0, 8.0)
CANDIDATES = 400  # random shapes of which the mutually most distinct are kept
SHIFTS = tuple(product((-1, 0, 1), repeat=2))  # of a shape, in sixteenths of an image, around the edges
UNIT = 16  # pixels a side at which such a shift is one pixel; at 32 it is two
ROWS = 512  # images rendered at a time: 1 MiB of float64 at 16x16, which stays in cache


@dataclass(frozen=True)
class World:
    """Shapes and toogits fixed by `seed`, and how images are made of them."""

    seed: int
    size: int = 16  # pixels a side
    num_classes: int = 10
    shape_reliability: float = 0.85  # P(c_r = label); 1 / num_classes says nothing about the label
    toogit_reliability: float = 0.95  # P(c_n = label)
    shape_amplitude: float = 0.2  # RMS of a pixel: L2 norm 0.2 * 16 = 3.2
    toogit_amplitude: float = 0.6  # L2 norm of the image
    clutter: float = 0.1  # RMS of a pixel
    noise: float = 0.02  # standard deviation of a pixel

    def __post_init__(self) -> None:
        nyquist = int(2 * TOOGIT_BAND[1])
        if self.size < nyquist:
            raise ValueError(f"World.size: toogits need {nyquist} pixels, got {self.size}; use more")
        if not 2 <= self.num_classes <= len(CLASS_NAMES):
            raise ValueError(f"World.num_classes: between 2 and {len(CLASS_NAMES)}, got {self.num_classes}")
        for name in ("shape_reliability", "toogit_reliability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"World.{name}: a probability in [0, 1], got {getattr(self, name)}")
        for name in ("shape_amplitude", "toogit_amplitude", "clutter", "noise"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"World.{name}: finite and >= 0, got {getattr(self, name)}; 0 leaves it out")

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASS_NAMES[: self.num_classes]

    @property
    def shapes(self) -> Floats:  # (num_classes, H, W), RMS 1, mean 0
        return _patterns(self.seed, self.size, self.num_classes)[0]

    @property
    def toogits(self) -> Floats:  # (num_classes, H, W), orthonormal
        return _patterns(self.seed, self.size, self.num_classes)[1]

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:  # in pixels
        """Where a shape may lie: the same share of the image at 16, 32 and 48 pixels, one pixel in between."""
        step = self.size // UNIT
        return tuple((step * y, step * x) for y, x in SHIFTS)

    def templates(self, feature: Feature) -> Floats:  # (num_classes, shifts or 1, H * W)
        """The patterns of a feature wherever they may lie: what its oracle compares an image with."""
        if feature == "shape":
            return _shifted(self.shapes, self.shifts)
        return self.toogits.reshape(self.num_classes, 1, -1)

    def sample(self, split: str, count: int, seed: int | None = None) -> Sample:
        """Examples 0 to count-1 of a split; `seed` (None: the world's) sets the images, not the patterns."""
        return self.examples(split, np.arange(count), seed)

    def labels(
        self,
        split: str,
        ids: Integers,  # (N,)
        seed: int | None = None,
    ) -> Integers:
        """Labels of these examples, uniform over the classes."""
        seed = self.seed if seed is None else seed
        return seeding.integers(seed, f"seefar/{split}/label", ids, self.num_classes)

    def examples(
        self,
        split: str,
        ids: Integers,  # (N,)
        seed: int | None = None,
    ) -> Sample:
        """These examples, each a pure function of (seed, split, id), whatever is made beside it."""
        label = self.labels(split, ids, seed)
        seed = self.seed if seed is None else seed
        shape = self._cue(label, self.shape_reliability, seed, f"seefar/{split}/shape", ids)
        toogit = self._cue(label, self.toogit_reliability, seed, f"seefar/{split}/toogit", ids)
        return {**self._render(shape, toogit, seed, f"seefar/{split}", ids), "label": label}

    def probe(self, kind: str, count: int) -> Sample:
        """Images that show which feature decides: `conflict` (two classes), `only_shape`, `only_toogit`."""
        if kind not in PROBES:
            raise ValueError(f"World.probe: one of {', '.join(PROBES)}, got {kind!r}")
        ids, purpose = np.arange(count), f"seefar/probe/{kind}"
        shape = self.labels(f"probe/{kind}", ids)
        toogit = self._cue(shape, 0.0, self.seed, f"{purpose}/toogit", ids)
        if kind == "only_shape":
            toogit = np.full_like(toogit, ABSENT)
        if kind == "only_toogit":
            shape = np.full_like(shape, ABSENT)
        return self._render(shape, toogit, self.seed, purpose, ids)

    def read_shape(
        self,
        images: NDArray[Any],  # (N, 1, H, W), uint8 or in [0, 1]
    ) -> Integers:
        """The oracle of shapes: the class of the best matched filter over all shifts."""
        scores = self._flat(images) @ self.templates("shape").reshape(-1, self.size**2).T
        best: Integers = scores.reshape(-1, self.num_classes, len(SHIFTS)).max(axis=2).argmax(axis=1)
        return best

    def read_toogit(
        self,
        images: NDArray[Any],  # (N, 1, H, W), uint8 or in [0, 1]
    ) -> Integers:
        """The oracle of toogits: the class of the best matched filter."""
        best: Integers = (self._flat(images) @ self.toogits.reshape(self.num_classes, -1).T).argmax(axis=1)
        return best

    def _flat(self, images: NDArray[Any]) -> Floats:
        if images.shape[1:] != (1, self.size, self.size):
            raise ValueError(
                f"World: images must be (N, 1, {self.size}, {self.size}), got {images.shape}; use their world"
            )
        flat: Floats = images.reshape(len(images), -1) * (1 / 255 if images.dtype == np.uint8 else 1.0)
        return flat

    def _cue(self, label: Integers, reliability: float, seed: int, purpose: str, ids: Integers) -> Integers:
        """The label with probability `reliability`, else one of the other classes, uniformly."""
        step = 1 + seeding.integers(seed, f"{purpose}/other", ids, self.num_classes - 1)
        agrees = seeding.uniform(seed, f"{purpose}/agrees", ids)[:, 0] < reliability
        return np.where(agrees, label, (label + step) % self.num_classes)

    def _render(self, shape: Integers, toogit: Integers, seed: int, purpose: str, ids: Integers) -> Sample:
        image = np.empty((len(ids), 1, self.size, self.size), dtype=np.uint8)
        for start in range(0, len(ids), ROWS):
            rows = slice(start, start + ROWS)
            pixels = self._pixels(shape[rows], toogit[rows], seed, purpose, ids[rows])
            image[rows] = np.rint(np.clip(pixels, 0.0, 1.0) * 255).reshape(-1, 1, self.size, self.size)
        return {"id": ids, "image": image, "shape_class": shape, "toogit_class": toogit}

    def _pixels(self, shape: Integers, toogit: Integers, seed: int, purpose: str, ids: Integers) -> Floats:
        """The sum before clipping, (N, H * W); elementwise, since BLAS may round another N differently."""
        shift = seeding.integers(seed, f"{purpose}/shift", ids, len(SHIFTS))
        strength = 0.7 + 0.6 * seeding.uniform(seed, f"{purpose}/strength", ids, 2)
        strength *= np.stack([shape != ABSENT, toogit != ABSENT], axis=1)
        x: Floats = 0.5 + self.noise * seeding.normal(seed, f"{purpose}/noise", ids, self.size**2)
        x += self.shape_amplitude * strength[:, :1] * self.templates("shape")[shape, shift]
        x += self.toogit_amplitude * strength[:, 1:] * self.toogits.reshape(self.num_classes, -1)[toogit]
        waves = _waves(self.size, *CLUTTER_BAND)
        clutter = seeding.normal(seed, f"{purpose}/clutter", ids, len(waves))
        clutter *= self.clutter * self.size / np.sqrt((clutter * clutter).sum(axis=1, keepdims=True))
        for coefficient, wave in zip(clutter.T, waves, strict=True):
            x += coefficient[:, None] * wave
        return x


USES = {  # what a network is said to do: on which images, called by which feature
    "follow_r": ("conflict", "shape"),
    "follow_n": ("conflict", "toogit"),
    "only_r": ("only_shape", "shape"),
    "only_n": ("only_toogit", "toogit"),
}


@lru_cache(maxsize=16)
def _waves(size: int, low: float, high: float) -> Floats:  # (D, H * W), orthonormal rows
    """The real Fourier waves with low <= |f| <= high cycles per image."""
    y, x = np.mgrid[:size, :size]
    waves = []
    for fy, fx in product(range(-(size // 2), size - size // 2), repeat=2):
        mirror = tuple((size // 2 - f) % size - size // 2 for f in (fy, fx))  # the same wave, up to its phase
        if (fy, fx) <= mirror and low <= np.hypot(fy, fx) <= high:
            phase = 2 * np.pi * (fy * y + fx * x) / size
            waves += [np.cos(phase)] if (fy, fx) == mirror else [np.cos(phase), np.sin(phase)]
    flat = np.stack(waves).reshape(len(waves), -1)
    return _frozen(flat / np.linalg.norm(flat, axis=1, keepdims=True))


@lru_cache(maxsize=16)
def _patterns(seed: int, size: int, num_classes: int) -> tuple[Floats, Floats]:
    """Shapes and toogits of a world."""
    low = _waves(size, *SHAPE_BAND)
    fields = seeding.normal(seed, "seefar/shapes", np.arange(CANDIDATES), len(low)) @ low
    fields *= size / np.linalg.norm(fields, axis=1, keepdims=True)
    shapes = _most_distinct(fields.reshape(-1, size, size), num_classes)
    high = _waves(size, *TOOGIT_BAND)
    columns = seeding.normal(seed, "seefar/toogits", np.arange(num_classes), len(high)).T
    toogits = np.linalg.qr(columns).Q.T @ high
    return _frozen(shapes), _frozen(toogits.reshape(num_classes, size, size))


def _most_distinct(fields: Floats, count: int) -> Floats:  # (M, H, W) -> (count, H, W)
    """Greedily, those that correlate least with the ones before, whatever the shifts of two images."""
    flat, worst, chosen = fields.reshape(len(fields), -1), np.full(len(fields), -np.inf), [0]
    while len(chosen) < count:
        step = fields.shape[1] // UNIT
        shifts = product(range(-2 * step, 2 * step + 1, step), repeat=2)
        moved = np.stack([np.roll(fields[chosen[-1]], shift, axis=(0, 1)).ravel() for shift in shifts])
        worst = np.maximum(worst, (flat @ moved.T).max(axis=1))
        worst[chosen] = np.inf
        chosen.append(int(worst.argmin()))
    return fields[chosen]


def _shifted(shapes: Floats, shifts: Sequence[tuple[int, int]]) -> Floats:  # to (num_classes, len(shifts), H * W)
    return np.stack([np.roll(shapes, s, axis=(1, 2)).reshape(len(shapes), -1) for s in shifts], axis=1)


def _frozen(array: Floats) -> Floats:
    array.setflags(write=False)
    return array
