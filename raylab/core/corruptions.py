"""The corruptions of CIFAR-10-C with their published constants, drawn by (seed, example id).

HEN: Hendrycks and Dietterich 2019, `make_cifar_c.py` of hendrycks/robustness, with the constants for 32 x 32 pixels.
Its random order is that of a global generator, which nobody has: the draws here are others, of the same distributions.

Lengths in pixels (blurs, glass, streaks of snow, drops, frost) grow with the shorter side beyond 32 and stay below it,
where a fraction of them would blur nothing; zoom and elastic transform are in shares of the side; fog fills the image.
Two of the benchmark are made by Pillow, and so in `stages.corruption`: pixelate and JPEG. Frost needs photographs,
which are handed in (`stages.frost`).

A new corruption is a function, here or in a file of its own, and a line of CORRUPTIONS: its name is then known to
configs, plans and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core import blurs, frost, seeding, spatter, warps
from raylab.core.frost import Photograph

Floats = NDArray[np.float64]  # (N, C, H, W), in [0, 1]
Ids = NDArray[np.int64]
SEVERITIES = (1, 2, 3, 4, 5)
SIDE = 32  # what the constants are for
LEVELS = 256
LUMA = np.array([0.299, 0.587, 0.114])  # OpenCV's grey of red, green and blue


@dataclass(frozen=True)
class Draw:
    """The random numbers of one corruption at one severity, and the photographs that it may choose from."""

    seed: int
    purpose: str
    ids: Ids
    photographs: Sequence[Photograph] = ()

    def uniform(self, what: str, *shape: int) -> Floats:  # (N, *shape), in [0, 1)
        size = int(np.prod(shape, initial=1))
        return seeding.uniform(self.seed, f"{self.purpose}/{what}", self.ids, size).reshape(len(self.ids), *shape)

    def normal(self, what: str, *shape: int) -> Floats:
        size = int(np.prod(shape, initial=1))
        return seeding.normal(self.seed, f"{self.purpose}/{what}", self.ids, size).reshape(len(self.ids), *shape)


Corruption = Callable[[Floats, Any, Draw], Floats]


def corrupt(
    name: str,
    severity: int,
    images: NDArray[np.uint8],  # (N, C, H, W)
    ids: Ids,  # (N,)
    seed: int,
    photographs: Sequence[Photograph] = (),  # of frost: those that the benchmark draws from, in their order
) -> Floats:
    """The corrupted images before they are stored as bytes.

    Raises ValueError for an unknown name or severity, for images that are not bytes, where frost has no photographs,
    and where colours of grey images are to be changed.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corrupt: one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"corrupt: severity 1 to 5, got {severity}")
    if images.dtype != np.uint8:
        raise ValueError(f"corrupt: images of bytes, as published, got {images.dtype}")
    constants, corruption = CORRUPTIONS[name]
    draw = Draw(seed, f"corruption/{name}/{severity}", ids, photographs)
    return np.clip(corruption(images / 255.0, constants[severity - 1], draw), 0.0, 1.0)


def as_bytes(images: Floats) -> NDArray[np.uint8]:
    """As CIFAR-10-C is stored: cut off to whole levels, not rounded."""
    return np.asarray(images * 255 + 1e-9, dtype=np.uint8)  # 0.2 * 255 is 51, not 50.99...


def _gaussian_noise(x: Floats, sd: float, draw: Draw) -> Floats:
    return np.asarray(x + sd * draw.normal("noise", *x.shape[1:]))


def _shot_noise(x: Floats, photons: float, draw: Draw) -> Floats:
    """Poisson of mean photons * x, by inverting its distribution function, which only 256 means need."""
    levels = np.rint(x * 255).astype(np.int64)
    tables = _poisson(photons)
    # One search for all: the functions of all levels one after the other, each shifted by its level.
    flat = (np.arange(LEVELS)[:, None] + tables).ravel()
    found = np.searchsorted(flat, levels + draw.uniform("photons", *x.shape[1:]), side="right")
    counts = np.minimum(found - levels * tables.shape[1], tables.shape[1] - 1)
    return np.asarray(counts / photons)


def _poisson(photons: float) -> Floats:  # (256, K): P(count <= k)
    reach = int(photons + 12 * np.sqrt(photons) + 30)
    k = np.arange(reach)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    mean = photons * np.arange(1, LEVELS)[:, None] / (LEVELS - 1)
    table = np.cumsum(np.exp(k * np.log(mean) - mean - log_factorial), axis=1)
    return np.concatenate([np.ones((1, reach)), np.minimum(table, 1.0)])  # of a black pixel the count is 0


def _impulse_noise(x: Floats, amount: float, draw: Draw) -> Floats:
    """Salt and pepper, each channel on its own (`skimage.util.random_noise`)."""
    hit = draw.uniform("hit", *x.shape[1:]) < amount
    return np.where(hit, draw.uniform("salt", *x.shape[1:]) < 0.5, x)


def _speckle_noise(x: Floats, sd: float, draw: Draw) -> Floats:
    return np.asarray(x + x * sd * draw.normal("noise", *x.shape[1:]))


def _defocus_blur(x: Floats, c: tuple[float, float], draw: Draw) -> Floats:
    del draw
    return blurs.convolve(x, blurs.disk(c[0] * _scale(x), c[1] * _scale(x)))


def _gaussian_blur(x: Floats, sigma: float, draw: Draw) -> Floats:
    del draw
    return blurs.gaussian(x, sigma * _scale(x))


def _glass_blur(x: Floats, c: tuple[float, int, int], draw: Draw) -> Floats:
    sigma, reach, rounds = c[0] * _scale(x), round(c[1] * _scale(x)), c[2]
    moves = np.floor((2 * draw.uniform("moves", rounds, *x.shape[2:], 2) - 1) * reach).astype(np.int64)
    return blurs.glass(x, sigma, reach, moves)


def _motion_blur(x: Floats, c: tuple[float, float], draw: Draw) -> Floats:
    angle = 90 * draw.uniform("angle") - 45
    return blurs.motion(x, c[0] * _scale(x), c[1] * _scale(x), angle)


def _zoom_blur(x: Floats, largest: float, draw: Draw) -> Floats:
    del draw
    return blurs.zoom(x, largest)


def _snow(x: Floats, c: tuple[float, ...], draw: Draw) -> Floats:
    """Flakes are enlarged noise above a threshold, blown into streaks; the scene is whitened beneath them."""
    mean, sd, zoom, threshold, radius, sigma, kept = c
    flakes = blurs.zoomed(mean + sd * draw.normal("flakes", 1, *x.shape[2:]), zoom)
    flakes = np.clip(np.where(flakes < threshold, 0.0, flakes), 0.0, 1.0)
    angle = -135 + 90 * draw.uniform("angle")
    flakes = np.floor(flakes * 255) / 255
    flakes = blurs.motion(flakes, radius * _scale(x), sigma * _scale(x), angle)
    grey = np.tensordot(LUMA, x, (0, 1))[:, None] if x.shape[1] == 3 else x.mean(axis=1, keepdims=True)
    x = kept * x + (1 - kept) * np.maximum(x, 1.5 * grey + 0.5)
    return np.asarray(x + flakes + flakes[:, :, ::-1, ::-1])


def _fog(x: Floats, c: tuple[float, float], draw: Draw) -> Floats:
    strength, decay = c
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    height, width = x.shape[2:]
    fogged = x + strength * plasma(draw, max(height, width), decay)[:, None, :height, :width]
    return np.asarray(fogged * brightest / (brightest + strength))


def plasma(draw: Draw, least: int, decay: float) -> Floats:
    """(N, S, S) of diamonds and squares, each map from 0 to 1; S is the power of two from `least` on."""
    size = 1 << max(least - 1, 1).bit_length()
    found = np.zeros((len(draw.ids), size, size))
    step, wibble = size, 100.0
    while step >= 2:
        half, cells = step // 2, size // step
        squares, above, beside = wibble**2 * (
            2 * np.moveaxis(draw.uniform(f"plasma/{step}", 3, cells, cells), 1, 0) - 1
        )
        corners = found[:, ::step, ::step]
        total = corners + np.roll(corners, -1, axis=1)
        found[:, half::step, half::step] = (total + np.roll(total, -1, axis=2)) / 4 + squares
        middles, corners = found[:, half::step, half::step], found[:, ::step, ::step]
        total = middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        found[:, ::step, half::step] = total / 4 + above
        total = middles + np.roll(middles, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        found[:, half::step, ::step] = total / 4 + beside
        step, wibble = half, wibble / decay
    found -= found.min(axis=(1, 2), keepdims=True)
    return np.asarray(found / found.max(axis=(1, 2), keepdims=True))


def _brightness(x: Floats, added: float, draw: Draw) -> Floats:
    """The value of HSV, raised: hue and saturation are kept by scaling all channels alike."""
    del draw
    value = x.max(axis=1, keepdims=True)
    raised = np.clip(value + added, 0.0, 1.0)
    return np.asarray(np.where(value > 0, x * raised / np.where(value > 0, value, 1.0), raised))


def _saturate(x: Floats, c: tuple[float, float], draw: Draw) -> Floats:
    """The saturation of HSV times a factor and a little more: hue and value are kept, so a channel that is the largest
    stays.  Grey has no hue; as in scikit-image it is taken for red."""
    del draw
    if x.shape[1] != 3:
        raise ValueError(f"saturate: images in colour, got {x.shape[1]} channel; leave it out")
    value = x.max(axis=1, keepdims=True)
    chroma = value - x.min(axis=1, keepdims=True)
    red = np.array([0.0, 1.0, 1.0])[:, None, None]
    below = np.where(chroma > 0, (value - x) / np.where(chroma > 0, chroma, 1.0), red)  # 0 the largest, 1 the least
    saturation = chroma / np.where(value > 0, value, 1.0)
    return np.asarray(value * (1 - below * np.clip(saturation * c[0] + c[1], 0.0, 1.0)))


def _frost(x: Floats, c: tuple[float, float], draw: Draw) -> Floats:
    return frost.frost(x, *c, _scale(x), draw.photographs, draw.uniform("place", 3), LUMA)


def _spatter(x: Floats, c: tuple[float, ...], draw: Draw) -> Floats:
    """Beyond 32 pixels the noise runs together over longer ways, and is as much stronger as it takes for the drops to
    cover the same share of the image."""
    mean, sd, sigma, threshold, amount, mud = c
    grown = _scale(x)
    sd *= float((blurs.weights(sigma) ** 2).sum() / (blurs.weights(sigma * grown) ** 2).sum())
    noise = mean + sd * draw.normal("liquid", *x.shape[2:])
    amount = amount * grown if mud else amount
    return spatter.spatter(x, noise, sigma * grown, threshold, amount, mud == 1, LUMA)


def _contrast(x: Floats, factor: float, draw: Draw) -> Floats:
    """About the mean of each channel."""
    del draw
    mean = x.mean(axis=(2, 3), keepdims=True)
    return np.asarray((x - mean) * factor + mean)


def _elastic_transform(x: Floats, c: tuple[float, float, float], draw: Draw) -> Floats:
    corners, fields = 2 * draw.uniform("corners", 3, 2) - 1, 2 * draw.uniform("fields", 2, *x.shape[2:]) - 1
    return warps.elastic(x, *c, corners, fields)


def scale(size: tuple[int, ...]) -> float:
    """Of an image of (height, width): by how much lengths in pixels grow."""
    return float(max(1.0, min(size) / SIDE))


def _scale(x: Floats) -> float:
    return scale(x.shape[2:])


CORRUPTIONS: Mapping[str, tuple[tuple[Any, ...], Corruption]] = {
    "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), _gaussian_noise),
    "shot_noise": ((500, 250, 100, 75, 50), _shot_noise),
    "impulse_noise": ((0.01, 0.02, 0.03, 0.05, 0.07), _impulse_noise),
    "speckle_noise": ((0.06, 0.1, 0.12, 0.16, 0.2), _speckle_noise),
    "defocus_blur": (((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)), _defocus_blur),
    "gaussian_blur": ((0.4, 0.6, 0.7, 0.8, 1), _gaussian_blur),
    "glass_blur": (((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)), _glass_blur),
    "motion_blur": (((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), _motion_blur),
    "zoom_blur": ((1.06, 1.11, 1.16, 1.21, 1.26), _zoom_blur),
    "snow": (
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        _snow,
    ),
    "fog": (((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)), _fog),
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), _brightness),
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), _contrast),
    "elastic_transform": (
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        _elastic_transform,
    ),
    "frost": (((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), _frost),
    "spatter": (
        (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        _spatter,
    ),
    "saturate": (((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), _saturate),
}  # fmt: skip
