"""Networks that others released: checkpoints of MadryLab/robustness, as artifacts that load like our own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raylab.core import architectures
from raylab.core.later import Tensor, networks, torch
from raylab.data import digest, tensors
from raylab.data.reader import DataError, RawFile, readable
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.site import home
from raylab.stages.images import ImageSpec
from raylab.stages.weights import keep_weights

# Of their CIFAR class. The std is not that of CIFAR-10's pixels, but it is what these networks were trained with.
CIFAR10 = ImageSpec((3, 32, 32), 10, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

# Their names (cifar_models and imagenet_models, the latter torchvision's) and ours.
_RESNET = ((r"^(linear|fc)\.", "head."), (r"\.shortcut\.", ".downsample."), (r"^(?!head\.)", "body."))
_VGG = ((r"^features\.", "body.0."), (r"^classifier\.", "head."))
ARCHITECTURES = {"resnet18": _RESNET, "resnet50": _RESNET, "vgg16": _VGG}
# Networks of theirs that ours are not, whatever is renamed. No checkpoint of them was released for CIFAR.
DIFFERENT = {
    "densenet121": "theirs has no BatchNorm after its stem, and joins its features in another order",
    "inception_v3": "theirs convolves 3x3 after the pooling of its first mixed blocks, and has dropout",
}


@dataclass(frozen=True)
class Released:
    """The identity of a released network: its bytes and how they are read, never where they are."""

    doing = ("reading", "network")
    in_driver = True  # the file is where the driver is
    network: str
    images: ImageSpec
    content: str
    path: Path = field(compare=False)

    def run(self, context: TaskContext) -> Metrics:
        checkpoint = tensors.load(self.path)
        state = _state(checkpoint, self.path)
        _check_normaliser(state, self.images, self.path)
        i = self.images
        network = networks.build(self.network, i.shape, i.num_classes, i.mean, i.std, seed=0)
        own = network.state_dict()
        constants = {name: tensor for name, tensor in own.items() if name.startswith("normalise.")}
        theirs = {name[6:]: tensor for name, tensor in state.items() if name.startswith("model.")}
        found = {_renamed(name, self.network): tensor for name, tensor in theirs.items()} | constants
        for name in own:  # counts of batches, which files older than PyTorch 0.4.1 lack and no result depends on
            if name.endswith("num_batches_tracked"):
                found.setdefault(name, own[name])
        _check_same(own, found, self.network, self.path)
        network.load_state_dict(found)
        keep_weights(network, context)
        epoch = checkpoint.get("epoch")
        return {"epoch": epoch if isinstance(epoch, int) else None}


def released_network(
    path: str | Path, network: str = "resnet50", images: ImageSpec = CIFAR10, *, name: str = ""
) -> Stage:
    """A checkpoint of MadryLab/robustness (`cifar_nat.pt`, `cifar_l2_0_5.pt`, ...), for `weights.load_network`.

    Its key is that of its bytes. `images.mean` and `std` must be those in the file.

    Raises DataError where there is no such file, ValueError where it cannot be a network of that name. Building the
    stage raises DataError where the file holds more than tensors, or another network.
    """
    file = Path(os.path.expanduser(path))
    if network not in ARCHITECTURES:
        why = f", which is another network: {DIFFERENT[network]}" if network in DIFFERENT else ""
        raise ValueError(f"released networks: one of {', '.join(ARCHITECTURES)}, got {network!r}{why}")
    architectures.check(network, images.shape, images.num_classes)
    if not file.is_file():
        raise DataError(f"{file}: no such file; download it as the README of MadryLab/robustness says")
    with readable(file):
        content = digest.of_files([RawFile(file, "checkpoint")], home() / "cache")
    released = Released(network, images, content, file)
    return Stage("released", 1, released, {}, name or f"released {network} {file.name}")


def _state(checkpoint: Any, path: Path) -> Mapping[str, Tensor]:
    """The tensors of their AttackerModel (`model.`, `attacker.`, `normalizer.`), without DataParallel's prefix."""
    if not isinstance(checkpoint, Mapping):
        raise DataError(f"{path}: a checkpoint is a dict, got {type(checkpoint).__name__}")
    state = checkpoint.get("model", checkpoint.get("state_dict"))  # files older than 2019 say state_dict
    if not isinstance(state, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise DataError(
            f"{path}: a checkpoint has its tensors at `model` or `state_dict`, got keys {sorted(map(str, checkpoint))}"
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _check_normaliser(state: Mapping[str, Tensor], images: ImageSpec, path: Path) -> None:
    for name, wanted in (("new_mean", images.mean), ("new_std", images.std)):
        found = state.get(f"normalizer.{name}")
        if found is not None and not torch.allclose(found.flatten().float(), torch.tensor(wanted), atol=1e-4):
            got = tuple(round(value, 4) for value in found.flatten().tolist())
            raise DataError(
                f"{path}: it was trained with {name[4:]} {got}, asked for {wanted}; give images with the former"
            )


def _renamed(name: str, network: str) -> str:
    for pattern, ours in ARCHITECTURES[network]:
        name = re.sub(pattern, ours, name)
    return name


def _check_same(own: Mapping[str, Tensor], found: Mapping[str, Tensor], network: str, path: Path) -> None:
    wrong = [f"lacks {name}" for name in own if name not in found]
    wrong += [f"has {name} of no place" for name in found if name not in own]
    wrong += [
        f"has {name} of shape {tuple(found[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]
    wrong += [f"has {name} that is not finite" for name in own if name in found and not found[name].isfinite().all()]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DataError(f"{path}: no {network} of these images: it {', it '.join(wrong[:3])}{more}; name its network")
