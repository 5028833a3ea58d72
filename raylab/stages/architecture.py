"""The architecture of a network: one of the table's, by its name, or what a factory of one's own makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raylab.core import architectures
from raylab.core.later import Tensor, last_relu, networks, nn, torch
from raylab.engine import objects
from raylab.engine.identity import fingerprint
from raylab.engine.label import Label
from raylab.stages.images import ImageSpec
from raylab.stages.own_network import OwnNetwork
from raylab.stages.own_object import Coded


@dataclass(frozen=True)
class Factory(Coded):
    """The identity of an architecture of one's own: what is called, with what, and the code that runs then."""

    factory: str
    arguments: Mapping[str, Any]
    code: Mapping[str, str]  # sha256 by module


Architecture = str | Factory
_probed = set[str]()  # of this process


def of(network: str, images: ImageSpec) -> tuple[Architecture, ImageSpec]:
    """What a name or label of a config stands for, and the images with the normalisation of that network.

    Raises ValueError where no such network can take the images; one of one's own has been tried on one then.
    """
    if not isinstance(network, Label):
        architectures.check(network, images.shape, images.num_classes)
        return network, images
    own: OwnNetwork = network.meaning
    try:
        factory = Factory(own.factory, _with_tuples(own.arguments), objects.code(own.factory))
        images = normalised(own, images)
        _probe(factory, images)
    except ValueError as error:
        raise ValueError(f"network {network}: {error}") from error
    return factory, images


def build(network: Architecture | Mapping[str, Any], images: ImageSpec, seed: int) -> networks.Network:
    """A network on the CPU; `network` may be as a manifest has it. Raises ValueError where a factory is not to be found
    here, or its code is other code."""
    i = images
    if isinstance(network, str):
        return networks.build(network, i.shape, i.num_classes, i.mean, i.std, seed)
    factory = network if isinstance(network, Factory) else Factory(**network)
    make = objects.find_same(factory.factory, factory.code)
    arguments = _with_lists(factory.arguments)  # as YAML has them, from a config as from a manifest
    return networks.adopt(lambda: make(**arguments), i.shape, i.num_classes, i.mean, i.std, seed)


def survey(network: Architecture | Mapping[str, Any], images: ImageSpec) -> last_relu.Penultimate:
    """Of its penultimate layer. Raises ValueError where a network of one's own has none."""
    if isinstance(network, str):
        return last_relu.survey(network, images.shape)
    return last_relu.survey_of(build(network, images, 0).eval(), images.shape)


def trainable(network: str, images: ImageSpec) -> tuple[Architecture, ImageSpec]:
    """As `of`. Raises ValueError too where a training would not be a function of its seed."""
    made, images = of(network, images)
    if isinstance(made, Factory) and (key := f"train {_key(made, images)}") not in _probed:
        _check_random_numbers(made, images)
        _probed.add(key)
    return made, images


def _check_random_numbers(network: Factory, images: ImageSpec) -> None:
    built = [build(network, images, 0) for _ in range(2)]
    first, second = (one.state_dict() for one in built)
    if any(not torch.equal(tensor, second[name]) for name, tensor in first.items()):
        raise ValueError(
            f"{network.factory} gives other weights when it is called again, though torch's random numbers are the "
            "same; draw them from torch's global generator"
        )
    x = torch.linspace(0, 1, 2 * _count(images)).view(2, *images.shape)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        answers = []
        for seed, one in enumerate(built):
            torch.default_generator.manual_seed(seed)
            answers.append(one.train()(x))
    if not torch.equal(*answers):
        raise ValueError(
            f"{network.factory} draws random numbers in training mode (dropout?), which a resumed training would not "
            "draw again; turn that off by `arguments`"
        )


def normalised(own: OwnNetwork, images: ImageSpec) -> ImageSpec:
    """The images with its own mean and std, where it states them. Raises ValueError where these are of other images."""
    if own.mean is None or own.std is None:
        return images
    channels = images.shape[0]
    mean, std = ((v,) * channels if isinstance(v, float) else v for v in (own.mean, own.std))
    if len(mean) != channels or len(std) != channels:
        raise ValueError(f"mean and std: one value, or one for each of {channels} channels, got {mean} and {std}")
    return replace(images, mean=mean, std=std)


def _probe(factory: Factory, images: ImageSpec) -> None:
    """One image through the network. Raises ValueError where it does not take it, or says nothing of these classes."""
    if _key(factory, images) in _probed:
        return
    try:
        network = build(factory, images, 0).eval()
    except TypeError as error:
        raise ValueError(f"{factory.factory}: {error}; give its arguments in `arguments`") from error
    shape = "x".join(map(str, images.shape))
    try:
        with torch.no_grad():
            logits = network(torch.zeros(1, *images.shape))
    except Exception as error:  # whatever somebody's module does
        line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ValueError(
            f"{factory.factory} cannot take images of {shape} in [0, 1]: {type(error).__name__}: {line}; give its "
            "input size and channels in `arguments`, or take other images"
        ) from error
    _check_logits(factory.factory, network, logits, images.num_classes)
    _probed.add(_key(factory, images))


def _check_logits(factory: str, network: nn.Module, logits: Tensor, num_classes: int) -> None:
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] != num_classes:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"{factory}: logits of {num_classes} classes, (1, {num_classes}), are needed, got {got}; give the number "
            f"of classes in `arguments` (num_classes: {num_classes}), or take the data that it was trained on"
        )
    if networks.are_probabilities(logits):
        raise ValueError(f"{factory}: its outputs look like probabilities; logits are needed: leave out its softmax")
    if not next(iter(network.parameters()), torch.empty(0)).numel():
        raise ValueError(f"{factory}: it has no parameters")


def _with_tuples(value: Any) -> Any:
    """Lists as tuples, which identities take."""
    if isinstance(value, Mapping):
        return {name: _with_tuples(one) for name, one in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_lists(one) for name, one in value.items()}
    return list(map(_with_lists, value)) if isinstance(value, list | tuple) else value


def _key(factory: Factory, images: ImageSpec) -> str:
    return fingerprint({"factory": factory, "images": images})


def _count(images: ImageSpec) -> int:
    channels, height, width = images.shape
    return channels * height * width
