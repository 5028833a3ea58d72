"""Accuracy of a network on changed test images: the corruptions of the benchmark, or noise of a band of frequencies."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import corruptions, evaluate, fourier_basis, seeding, spectra
from raylab.core.fourier_basis import Passes
from raylab.core.frost import Photograph
from raylab.core.frost import check as check_size
from raylab.core.later import torch
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch
from raylab.engine.stage import Compute, Metrics, Stage
from raylab.stages.frost import SMALLEST, frost, photographs
from raylab.stages.images import ImageSpec, drawn, to_tensor
from raylab.stages.own_object import check_call, name_or_own, own, pinned
from raylab.stages.weights import load_network

Bytes = NDArray[np.uint8]  # (N, C, H, W)
FROST, SATURATE = "frost", "saturate"
# The corruptions of table 2 of Yin et al. 2019, and Gaussian noise. The benchmark's other three need more than such an
# image: frost its photographs, saturate a colour; spatter came later, and a longer default would be another key.
DEFAULT = (
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "defocus_blur", "gaussian_blur", "glass_blur",
    "motion_blur", "zoom_blur", "snow", "fog", "brightness", "contrast", "elastic_transform", "pixelate",
    "jpeg_compression",
)  # fmt: skip


def _pixelate(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    small = image.resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return small.resize((width, height), Image.Resampling.BOX)


def _jpeg(image: Image.Image, quality: float) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(quality))
    return Image.open(stream)


# HEN: the share of the side that is left, and the quality. Both are Pillow's, as published.
BY_PILLOW: Mapping[str, tuple[tuple[float, ...], Callable[[Image.Image, float], Image.Image]]] = {
    "pixelate": ((0.95, 0.9, 0.85, 0.75, 0.65), _pixelate),
    "jpeg_compression": ((80, 65, 58, 50, 40), _jpeg),
}
NAMES = (*corruptions.CORRUPTIONS, *BY_PILLOW)  # all 19 of CIFAR-10-C


# Or module:function of one's own, called as `corrupt(images, severity, ids, seed)`: (N, C, H, W) of uint8 to the same.
Name = Annotated[str, name_or_own(NAMES, "corruption")]


class Corruptions(Config):
    """Which of the benchmark's, each at five severities."""

    names: Annotated[tuple[Name, ...], Field(min_length=1)] = DEFAULT  # which corruptions
    rows: Annotated[int, Field(ge=2)] | None = None  # so many images, drawn by id; None: all
    # A folder of the photographs that frost lays over images (`stages.frost`). Where, not what: their bytes are known.
    frost: str | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _check(self) -> Corruptions:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names: each at most once, got {list(self.names)}")
        if FROST in self.names and self.frost is None:
            raise ValueError(
                f"frost: the folder of CIFAR-10-C's photographs of frost, got none; give it, or leave out {FROST}"
            )
        if FROST not in self.names and self.frost is not None:
            raise ValueError(f"names: {FROST} is not among them, got its photographs; add it there")
        return self

    def pinned(self, images: ImageSpec) -> Corruptions:
        """With the code of corruptions of one's own. Raises ValueError where one is none of such images."""
        for name in self.names:
            if name not in NAMES:
                _check_own(name, images)
        return self.model_copy(update={"names": tuple(pinned(name) for name in self.names)})

    def photographs(self) -> Stage | None:
        """Those of frost, where it is asked for.

        Raises DataError where they are not those of the benchmark.
        """
        return None if self.frost is None else frost(self.frost)

    def variants(self) -> list[tuple[str, int]]:
        return [(name, severity) for name in self.names for severity in corruptions.SEVERITIES]

    def shown(
        self, images: NDArray[Any], ids: NDArray[np.int64], seed: int, frozen: Sequence[Photograph]
    ) -> Iterator[NDArray[Any]]:
        """The images in every variant."""
        for name, severity in self.variants():
            yield corrupted(name, severity, as_bytes(images), ids, seed, frozen)


class FilteredNoise(Config):
    """Gaussian noise of the B x B lowest, or highest, frequencies (Yin et al. 2019, figure 5)."""

    norm: Radius = 8.0  # L2, of every channel
    low: tuple[Annotated[int, Field(ge=1)], ...] = (3, 7, 31)  # bandwidths B of the lowest frequencies, increasing
    high: tuple[Annotated[int, Field(ge=1)], ...] = (3, 15, 31)  # bandwidths B of the highest frequencies, increasing
    rows: Annotated[int, Field(ge=2)] | None = None  # so many images, drawn by id; None: all

    @model_validator(mode="after")
    def _check(self) -> FilteredNoise:
        for name in ("low", "high"):
            if list(given := getattr(self, name)) != sorted(set(given)):
                raise ValueError(f"{name}: bandwidths, increasing, got {list(given)}; sort them")
        return self

    def variants(self) -> list[tuple[Passes, int]]:
        return [("low", bandwidth) for bandwidth in self.low] + [("high", bandwidth) for bandwidth in self.high]

    def shown(
        self, images: NDArray[Any], ids: NDArray[np.int64], seed: int, frozen: Sequence[Photograph]
    ) -> Iterator[NDArray[Any]]:
        """The images in every variant."""
        del frozen
        shape = (images.shape[1], images.shape[2], images.shape[3])
        pixels = images / 255.0 if images.dtype == np.uint8 else images
        for passes, bandwidth in self.variants():
            added = fourier_basis.noise(passes, bandwidth, self.norm, shape, ids, seed)
            yield np.clip(pixels + added, 0.0, 1.0).astype(np.float32)


def as_bytes(images: NDArray[Any]) -> Bytes:
    """Images in [0, 1] to the nearest level: corruptions are of stored photographs."""
    return np.asarray(images if images.dtype == np.uint8 else np.rint(np.clip(images, 0, 1) * 255), dtype=np.uint8)


def corrupted(
    name: str,
    severity: int,
    images: Bytes,
    ids: NDArray[np.int64],
    seed: int,
    frozen: Sequence[Photograph] = (),  # frost's photographs
) -> Bytes:
    """The images as the benchmark stores them."""
    if name not in NAMES:
        return _by_own(name, severity, images, ids, seed)
    if name in BY_PILLOW:
        return np.stack([_by_pillow(name, severity, image) for image in images]) if len(images) else images
    return corruptions.as_bytes(corruptions.corrupt(name, severity, images, ids, seed, frozen))


@dataclass(frozen=True)
class _Changed:
    """The identity of a measurement, beside its network and data."""

    doing = ("corrupting", "data set")
    over = "data"
    changes: Corruptions | FilteredNoise
    models: tuple[str, ...]  # the roles of the networks
    seed: int
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        changes, seed = self.changes, self.seed
        networks = {role: load_network(one, device) for role, one in inputs.items() if role in self.models}
        frozen = photographs(inputs[FROST]) if FROST in inputs else ()
        chosen = drawn(inputs["drawn_from"], changes.rows, seed, "changed/rows") if changes.rows is not None else None

        def judge(batch: Batch) -> Batch:
            taken = slice(None) if chosen is None else np.isin(batch["id"], chosen)
            ids, label = batch["id"][taken].astype(np.int64), batch["label"][taken].astype(np.int64)
            images = batch["image"][taken]
            right = [
                [_right(networks[role], shown, label, device) for role in self.models]
                for shown in chain([images], changes.shown(images, ids, seed, frozen))
            ]
            found = np.asarray(right, dtype=np.uint8).transpose(2, 1, 0)  # (N, models, 1 + variants)
            return {"id": ids, "label": label, "clean": found[:, :, 0], "right": found[:, :, 1:]}

        return judge

    def summarise(self, artifact: Artifact) -> Metrics:
        """By network, accuracy under every variant, and on the same images unchanged."""
        rows, variants = artifact.batch(), self.changes.variants()
        return {
            "n": len(rows["id"]),
            "variants": tuple(str(what) for what, _ in variants),
            "levels": tuple(level for _, level in variants),
            "clean": {name: float(rows["clean"][:, k].mean()) for k, name in enumerate(self.models)},
            "accuracy": {
                name: tuple(float(share) for share in rows["right"][:, k].mean(axis=0))
                for k, name in enumerate(self.models)
            },
        }


def changed(
    changes: Corruptions | FilteredNoise,
    models: Mapping[str, Stage],  # by role: asked about the very same images
    data: Stage,
    images: ImageSpec,
    seed: int,
    compute: Compute,
    *,
    rows: int,
    name: str,
) -> Stage:
    """Of each example whether each network is right, (N, M): as it is (`clean`) and under every change, (N, M, V).

    Raises ValueError where a change cannot be made on such images, or more of them are to be drawn than there are.
    """
    if changes.rows is not None and changes.rows > rows:
        raise ValueError(f"changed: rows at most the {rows} images of {data.label}, got {changes.rows}; null: all")
    inputs = {"data": data, **models} | ({} if changes.rows is None else {"drawn_from": data})
    if isinstance(changes, FilteredNoise):
        check_bandwidths(changes.low, changes.high, images)
    else:
        _check_images(changes, images)
        changes = changes.pinned(images)
        if (frozen := changes.photographs()) is not None:
            inputs[FROST] = frozen
    identity = _Changed(changes, tuple(models), seed, compute.measuring)
    passes = min(rows, changes.rows or rows) * len(models) * (len(changes.variants()) + 1) // 2
    return Stage("changed", 1, identity, inputs, name, passes)


def _check_images(changes: Corruptions, images: ImageSpec) -> None:
    channels, height, width = images.shape
    if channels not in (1, 3):
        raise ValueError(f"changed: corruptions are of 1 or 3 channels, got {channels}; leave them out")
    if SATURATE in changes.names and channels == 1:
        raise ValueError(f"corruptions.names: {SATURATE} changes colours, got grey images; leave it out")
    if FROST in changes.names:
        check_size(SMALLEST, (height, width), corruptions.scale((height, width)))


def _by_own(name: str, severity: int, images: Bytes, ids: NDArray[np.int64], seed: int) -> Bytes:
    """Raises ValueError for anything but images of that shape in bytes."""
    changed = own(name)(images.copy(), severity, ids, seed)
    if not isinstance(changed, np.ndarray) or changed.shape != images.shape or changed.dtype != np.uint8:
        got = f"{changed.dtype} {changed.shape}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise ValueError(f"{name}: uint8 images of shape {images.shape} are needed, got {got}; give back the like")
    return changed


def _check_own(name: str, images: ImageSpec) -> None:
    """Two images at each severity: together, again, and each alone. Raises ValueError where that makes a difference."""
    check_call(name, own(name), "corrupt(images, severity, ids, seed)", 4)
    ids = np.array([3, 8])
    shown = (255 * seeding.uniform(0, "own corruption", ids, math.prod(images.shape))).astype(np.uint8)
    shown = shown.reshape(2, *images.shape)
    for severity in corruptions.SEVERITIES:
        try:
            first, again = (_by_own(name, severity, shown, ids, 0) for _ in range(2))
            alone = np.concatenate([_by_own(name, severity, shown[i : i + 1], ids[i : i + 1], 0) for i in range(2)])
        except Exception as error:  # whatever somebody's function does
            raise ValueError(f"{name}: severity {severity}: {type(error).__name__}: {error}") from error
        for how, other in (("when it is called again", again), ("of an image alone", alone)):
            if not np.array_equal(first, other):
                raise ValueError(
                    f"{name}: severity {severity}: it gives other pixels {how}; draw random numbers from seed and id "
                    "(raylab.core.seeding), never from the batch or a global generator"
                )


def check_bandwidths(low: tuple[int, ...], high: tuple[int, ...], images: ImageSpec) -> None:
    """Raises ValueError where a band of these images holds half a pair of waves."""
    nothing = np.zeros((1, 1, *images.shape[1:]))
    for bandwidth in low:
        spectra.low_pass(nothing, bandwidth)
    for bandwidth in high:
        spectra.high_pass(nothing, bandwidth)


def _right(network: torch.nn.Module, images: NDArray[np.generic], label: NDArray[np.int64], device: str) -> Bytes:
    if not len(label):
        return np.empty(0, np.uint8)
    logits = evaluate.logits(network, to_tensor(images, device), len(label)).cpu().numpy()
    return np.asarray(evaluate.is_correct(logits, label), dtype=np.uint8)


def _by_pillow(name: str, severity: int, image: Bytes) -> Bytes:  # (C, H, W)
    constants, change = BY_PILLOW[name]
    shown = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
    pixels = np.asarray(change(shown, constants[severity - 1]))
    return pixels[None] if len(image) == 1 else np.moveaxis(pixels, -1, 0)
