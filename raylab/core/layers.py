"""The successive layers of every network, and how far a small change of an image moves each.

R(f) = E max_{||x' - x|| <= eps} ||f(x') - f(x)|| / E ||f(x1) - f(x2)||  (Ilyas et al., reply to Nakano, Distill 2019):
0 for a layer that nothing moves, 1 where the ball reaches as far as from one image to another.
"""

from __future__ import annotations

from collections.abc import Mapping

from raylab.core.balls import Ball
from raylab.core.later import Tensor, networks, torch
from raylab.core.objectives import Features, feature_distance, require_eval
from raylab.core.pgd import descend

LOGITS = "logits"

_KUMANO = {"conv 1": "body.1", "conv 2": "body.3", "skip 2": "body.4", "conv 3": "body.6", "skip 3": "body.7"}
# By network: its layers, or blocks, in order, each by the module whose output it is. All end after their nonlinearity.
# The pixels of a linear network are no layer: it has its logits alone, as all have.
LAYERS: Mapping[str, Mapping[str, str]] = {
    "linear": {},
    "mlp": {"hidden 1": "body.1", "hidden 2": "body.2"},
    "mlp_bottleneck16": {"hidden 1": "body.1", "hidden 2": "body.2"},
    "mixer": {"patches": "body.2", **{f"mixing {i}": f"body.{i + 2}" for i in range(1, 5)}},
    "cnn": {"conv 1": "body.1", "conv 2": "body.3", "conv 3": "body.5", "hidden": "body.8"},
    "vgg_small": {f"conv {i}": f"body.{i - 1}" for i in range(1, 5)},
    "resnet9": {f"block {i}": f"body.{i - 1}" for i in range(1, 7)},
    "resnet9_w16": {f"block {i}": f"body.{i - 1}" for i in range(1, 7)},
    "kumano_convnet": _KUMANO,
    "kumano_convnet_w4": _KUMANO,
    "vgg16": {f"pool {i}": f"body.0.{at}" for i, at in enumerate((6, 13, 23, 33, 43), start=1)},
    "resnet18": {f"layer {i}": f"body.layer{i}" for i in range(1, 5)},
    "resnet50": {f"layer {i}": f"body.layer{i}" for i in range(1, 5)},
    "densenet121": {f"block {i}": f"body.0.denseblock{i}" for i in range(1, 5)},
    "inception_v3": {
        "stem": "body.Conv2d_4a_3x3",
        "mixed 5": "body.Mixed_5d",
        "mixed 6": "body.Mixed_6e",
        "mixed 7": "body.Mixed_7c",
    },
}


def layers(name: str, network: networks.Network) -> dict[str, Features]:
    """The activations of every layer of a network of that name, flattened to (B, F), in order; the logits last.

    Raises ValueError in training mode.
    """
    require_eval(network)
    found = {label: _output(network, path) for label, path in LAYERS[name].items()}
    return found | {LOGITS: network}


def moved(
    features: Features,  # of a network in eval mode with frozen parameters
    x: Tensor,  # (B, ...), within bounds
    ball: Ball,
    start: Tensor,  # (B, ...), not x itself: the gradient of a distance is 0 where the distance is
    steps: int,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Tensor:
    """(B,): the largest ||f(x') - f(x)||_2 that projected gradient ascent finds in the ball.

    Its steps fall linearly from eps to eps / steps.  Constant ones of 2.5 eps / steps, as attacks on answers take, turn
    the random start by 2.5 radii in all, however many they are: on a linear layer of 6 x 9 they end up to 9 % short.
    """
    with torch.no_grad():
        distance = feature_distance(features, features(x))
    sizes = [ball.eps * (1 - done / steps) for done in range(steps)]
    ended = descend(lambda z: -distance(z), x, ball, sizes, steps, bounds, start)
    return -ended.best_loss


def apart(
    features: Features,
    one: Tensor,  # (B, ...)
    other: Tensor,  # (B, ...), as many other images
) -> Tensor:
    """(B,): ||f(x1) - f(x2)||_2 of pairs of images."""
    with torch.no_grad():
        return feature_distance(features, features(other))(one)


def _output(network: networks.Network, path: str) -> Features:
    module = network.get_submodule(path)

    def features(x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            network(x)
        finally:
            handle.remove()
        return seen[-1].flatten(1)

    return features
