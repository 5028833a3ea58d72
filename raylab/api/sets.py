"""Data sets as values: `construct` and `invert` on tensors, and what a store holds of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from raylab.api.images import check_images, check_labels, checked, configured
from raylab.api.model import PROBED, FeaturesOf, in_use, require_relu, with_features
from raylab.core.balls import Norm
from raylab.core.construct import KINDS
from raylab.core.invert import Iterate, StepSchedule
from raylab.engine import columns
from raylab.engine.artifact import Part, digest_of
from raylab.engine.columns import Batch, Column
from raylab.engine.stage import Compute, Metrics
from raylab.engine.store import shard_name
from raylab.engine.worker import mapped
from raylab.stages import construction, inversion
from raylab.stages.construction import Aim, Attack, Construction
from raylab.stages.images import to_tensor
from raylab.stages.inversion import Inversion

Split = Literal["train", "test"]
AIMS: tuple[Aim, ...] = (*KINDS, "own", "untargeted")
SHARD_ROWS = 1000  # at least: the default of a stage where its batches have 250 rows


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels and ids.  Equal digests, equal bytes in a store."""

    columns: Batch = field(repr=False)  # as a store has them: id, image, label, and what else its kind has
    metrics: Metrics
    digest: str  # sha256 over the files that a store would have, or has
    device: str = "cpu"  # of the tensors
    inputs: Mapping[str, str] = field(default_factory=dict)  # of a store: keys of what it was made from, by role

    @cached_property
    def images(self) -> Tensor:
        """(N, C, H, W), in [0, 1]."""
        return to_tensor(self.columns["image"], self.device)

    @property
    def labels(self) -> Tensor:
        """(N,) int64: what a student is trained on.  -1 where none were given."""
        return self._column("label")

    @property
    def ids(self) -> Tensor:
        """(N,) int64: the examples' names for ever."""
        return self._column("id")

    def __len__(self) -> int:
        return len(self.columns["id"])

    def _column(self, name: str) -> Tensor:
        return torch.from_numpy(np.require(self.columns[name], requirements=("C", "W"))).to(self.device)


@dataclass(frozen=True)
class Constructed(ImageSet):
    """Images perturbed towards a class by a network, under the label of that class."""

    @property
    def source_labels(self) -> Tensor:
        """(N,) int64: what the images show."""
        return self._column("source_label")

    @property
    def source_predictions(self) -> Tensor:
        """(N,) int64: what the network says of the pushed images."""
        return self._column("source_prediction")

    @property
    def success(self) -> float | None:
        """The attack success rate: share of the images whose target is another class than their own, of which the
        network says the target; of an untargeted attack the share of all, of which it errs.  None without any."""
        found = self.metrics["success"]
        return found if isinstance(found, float) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What says that the attack was blinded."""
        return _texts(self.metrics["warnings"])


@dataclass(frozen=True)
class Inverted(ImageSet):
    """Images that a network gives the features of others, under the labels of these."""

    @property
    def residuals(self) -> Tensor:
        """(N,): ||g(z) - g(x)|| / ||g(x)||, about 1 of an independent image."""
        return self._column("residual")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against the set: it has not converged, or can only copy its images."""
        return _texts(self.metrics["doubts"])


def construct(
    aim: Aim,
    model: nn.Module,  # images in [0, 1] -> logits
    images: Tensor,  # (N, C, H, W), in [0, 1]
    labels: Tensor,  # (N,) int64
    *,
    eps: float,
    norm: Norm = "l2",
    steps: int = 20,
    step_size: float | None = None,
    iterate: Iterate = "best",
    seed: int = 0,
    ids: Tensor | None = None,
    split: Split = "train",
    batch_rows: int = 250,
    shard_rows: int | None = None,
) -> Constructed:
    """D_rand, D_det and their like: each image perturbed towards a class by projected gradient descent, and labelled
    with it (Ilyas et al. 2019, section 3.2 and appendix C.5).

    aim: "det" is the class label + 1; "rand" a uniform class; "other" a uniform one of the others; "own" the image's
    own; "untargeted" leads away from it and leaves the label.
    eps, step_size: radius and length of a step in units of pixels in [0, 1]; step_size None is 2.5 eps / steps.
    iterate: keep the one of lowest loss, or the last.
    seed, ids, split: targets are a function of these; ids None is 0 to N - 1.
    batch_rows, shard_rows: images that are computed, and filed, together: they enter the digest, as the stage's
    `compute` does.  None is the least multiple of batch_rows that is 1000 or more.

    The result has the digest of the data set that the stage of these arguments commits.
    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    if aim not in AIMS:
        raise ValueError(f"aim: one of {', '.join(AIMS)}, got {aim!r}")
    attack = configured(Attack, norm=norm, eps=eps, steps=steps, step_size=step_size, iterate=iterate)
    compute = _compute(batch_rows, shard_rows)
    rows = checked(images, labels, ids)
    _check_filed(images)
    with in_use(model, images) as used:
        check_labels(labels, len(images), used.num_classes)
        c = Construction(aim, attack, used.num_classes, seed, split, compute)
        made, digest = filed(partial(construction.perturbed, c, used.network, (), used.device), rows, compute)
    return Constructed(made, construction.summarise(c.aim, made), digest, str(images.device))


def invert(
    model: nn.Module,  # images in [0, 1] -> logits
    images: Tensor,  # (N, C, H, W), in [0, 1]: their features are to be matched
    labels: Tensor | None = None,  # (N,) int64, which the rebuilt images take over
    *,
    starts: Tensor | Literal["images", "noise"] = "images",
    features: FeaturesOf = "penultimate",
    steps: int = 1000,
    step_size: float = 0.1,
    schedule: StepSchedule = "constant",
    identity_relu: bool = True,
    iterate: Literal["best", "last"] = "best",
    seed: int = 0,
    ids: Tensor | None = None,
    split: Split = "train",
    batch_rows: int = 250,
    shard_rows: int | None = None,
) -> Inverted:
    """D_R of a robust network, D_NR of a standard one: images z with the features of x, by normalised gradient steps on
    ||g(z) - g(x)|| from an unrelated start, clipped to [0, 1] (Ilyas et al. 2019, section 3.1 and appendix C.4).

    starts: a pool (M, C, H, W) in [0, 1], of which each example draws one by (seed, id); "images": these themselves;
    "noise": N(1/2, 1/20).
    features: "penultimate" is the input of the last nn.Linear, whose output are the logits; else a function from
    images (B, C, H, W) to (B, ...), which is flattened.
    step_size: in units of pixels in [0, 1]; schedule: all equal, or falling linearly to a tenth.
    identity_relu: the gradient passes the last ReLU unchanged, as in MadryLab/robustness.
    Everything else is as in `construct`.

    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    rows = checked(images, labels, ids)
    _check_filed(images)
    pool = _pool(starts, rows)
    config = configured(
        Inversion,
        start="noise" if pool is None else "image",
        steps=steps,
        step_size=step_size,
        schedule=schedule,
        identity_relu=identity_relu,
        iterate=None if iterate == "best" else iterate,
    )
    compute = _compute(batch_rows, shard_rows)
    with in_use(model, images, features) as used:
        example = images[:PROBED].to(used.device)
        network = with_features(used.network, features, example)
        if identity_relu:
            require_relu(network, example)
        with torch.no_grad():
            size = network.features(example).shape[1]
        pixels = int(np.prod(images.shape[1:]))
        inverted = inversion.InvertedSet(config, seed, split, compute, size, pixels)
        made, digest = filed(partial(inversion.rebuilt, inverted, network, pool, used.device), rows, compute)
    metrics = inversion.summarise(made["residual"], size, pixels)
    return Inverted(made, metrics, digest, str(images.device))


def filed(function: Callable[[Batch], Batch], rows: Batch, compute: Compute) -> tuple[Batch, str]:
    """What a function makes of the rows, in the batches of a stage, and the digest of the files of its shards."""
    made = mapped(function, rows, compute.batch_rows)
    parts = []
    for index, low in enumerate(range(0, len(made["id"]), compute.shard_rows)):
        shard = columns.to_table({name: column[low : low + compute.shard_rows] for name, column in made.items()})
        data = columns.to_parquet(shard)
        parts.append(Part(shard_name(index), shard.num_rows, len(data), hashlib.sha256(data).hexdigest()))
    return made, digest_of(parts)


def _compute(batch_rows: int, shard_rows: int | None) -> Compute:
    if shard_rows is None and batch_rows > 0:
        shard_rows = -(-SHARD_ROWS // batch_rows) * batch_rows
    return configured(Compute, batch_rows=batch_rows, shard_rows=shard_rows)


def _check_filed(images: Tensor) -> None:
    if images.dtype != torch.float32:
        raise ValueError(f"images: data sets are float32, got {images.dtype}; call images.float()")


def _pool(starts: Tensor | str, rows: Batch) -> Column | None:
    """Images to start from, in the order of their ids; None: noise."""
    if isinstance(starts, Tensor):
        check_images(starts, "starts")
        if starts.shape[1:] != rows["image"].shape[1:] or starts.dtype != torch.float32:
            raise ValueError(
                f"starts: float32 images of shape {rows['image'].shape[1:]}, got {starts.dtype} of shape "
                f"{tuple(starts.shape[1:])}"
            )
        return np.asarray(starts.detach().cpu().numpy())
    if starts not in ("images", "noise"):
        raise ValueError(f'starts: a tensor of images, "images" or "noise", got {starts!r}')
    return None if starts == "noise" else np.asarray(rows["image"][np.argsort(rows["id"])])


def _texts(found: object) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()
