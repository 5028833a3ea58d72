"""A network compiled for attack: the same function, frozen, with less to compute in a forward and backward pass.

BatchNorm in eval mode is a scale and a shift of every channel, and so is the normalisation of images: both are
multiplied into the convolution or linear layer beside them.  What remains is computed in float32 or in bfloat16;
images, their gradients, features and logits are float32 either way.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from raylab.core.networks import Network, Normalise
from raylab.core.objectives import require_eval

Precision = Literal["float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# Of the largest logit.  Folding changes the order of roundings alone: in float32 1e-6, after fifty layers 1e-5.
SAME = 1e-3

# Layers that a factor of every channel passes unchanged, between the images and the first layer with weights.
_PASSED = (nn.Flatten, nn.ZeroPad2d, nn.Identity)


class Compiled(nn.Module):
    """head(body(centre(x))): the body alone has another precision than float32.

    The head is one linear layer, which costs nothing; logits of three digits would hide which iterate is the best.
    """

    def __init__(self, centre: nn.Module, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.centre, self.body, self.head = centre, body, head
        self.dtype = torch.float32

    def features(
        self,
        x: Tensor,  # (B, C, H, W), float32, in [0, 1]
    ) -> Tensor:
        """The penultimate activations, (B, F), float32; of a module that is no `Network` its logits."""
        features: Tensor = self.body(self.centre(x).to(self.dtype))
        return features.float()

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (B, num_classes), float32."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def reduce_(self, dtype: torch.dtype) -> Compiled:
        """Compute the body in `dtype`.  A BatchNorm that is left keeps its float32 statistics, as under autocast."""
        if any(True for _ in self.body.parameters()):  # else the body moves pixels, and would only round them
            self.dtype = dtype
            for layer in self.body.modules():
                own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
                for tensor in [] if isinstance(layer, _BatchNorm) else own:
                    tensor.data = tensor.data.to(dtype) if tensor.is_floating_point() else tensor.data
        return self


class _Centre(nn.Module):
    """x - mean, per channel: a mean cannot be folded into a convolution that pads with zeros, as a scale can."""

    mean: Tensor

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean


def compiled(
    network: nn.Module,  # in eval mode, from images (B, C, H, W) in [0, 1] to logits (B, num_classes)
    example: Tensor,  # (1 or more, C, H, W), on the network's device: what both are compared on
    precision: Precision = "float32",
) -> Compiled:
    """An equivalent of `network`, frozen and on its device; the network itself is not changed.

    In float32 the logits are equal up to rounding.  A network that cannot be traced, or would be another function when
    it is folded, is kept as it is but for its precision.  Convolutions work in channels_last, always: a format that a
    stopwatch chose would make other bits on another day.

    Raises ValueError in training mode, for an unknown precision, and for a network that is not in float32.
    """
    require_eval(network)
    if precision not in get_args(Precision):
        raise ValueError(f"compiled: precision: one of {', '.join(get_args(Precision))}, got {precision!r}")
    if others := {t.dtype for t in network.parameters() if t.dtype != torch.float32}:
        raise ValueError(f"compiled: a network in float32, got {', '.join(map(str, others))}; call .float()")
    with torch.inference_mode(False), torch.no_grad():
        found = _folded(_parts(network))
        if found is None or not _same(network, found, example):
            found = _parts(network)
        if any(isinstance(layer, nn.Conv2d) for layer in found.modules()):
            found.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return found.reduce_(DTYPES[precision]).eval().requires_grad_(False)


def _parts(network: nn.Module) -> Compiled:
    network = copy.deepcopy(network)
    if isinstance(network, Network):
        return Compiled(network.normalise, network.body, network.head)
    return Compiled(nn.Identity(), network, nn.Identity())


def _folded(parts: Compiled) -> Compiled | None:
    """None: the body cannot be traced, as where its code asks for values of its input."""
    try:
        body = fx.symbolic_trace(parts.body)
    except (fx.proxy.TraceError, AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return None
    _fold_batchnorms(body)
    centre = parts.centre
    if isinstance(centre, Normalise) and (first := _first_layer(body)) is not None:
        _fold_scale(first, centre.std.flatten())
        centre = _Centre(centre.mean)
    return Compiled(centre, body, parts.head)


def _fold_batchnorms(body: fx.GraphModule) -> None:
    """Each BatchNorm into the layer before it, whose output nothing else reads; multiplied in float64, rounded once."""
    calls = Counter(node.target for node in body.graph.nodes if node.op == "call_module")
    for node, norm in list(_batchnorms(body)):
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        layer = body.get_submodule(str(before.target))
        if calls[before.target] > 1 or calls[node.target] > 1 or norm.running_mean is None:
            continue
        if isinstance(layer, nn.Conv2d):
            fused: nn.Module = fuse_conv_bn_eval(layer.double(), norm.double())
        elif isinstance(layer, nn.Linear):
            fused = fuse_linear_bn_eval(layer.double(), norm.double())
        else:
            continue
        body.set_submodule(str(before.target), fused.float())
        node.replace_all_uses_with(before)
        body.graph.erase_node(node)
    body.delete_all_unused_submodules()
    body.recompile()


def _batchnorms(body: fx.GraphModule) -> Iterator[tuple[fx.Node, _BatchNorm]]:
    for node in body.graph.nodes:
        if node.op == "call_module" and isinstance(layer := body.get_submodule(str(node.target)), _BatchNorm):
            yield node, layer


def _first_layer(body: fx.GraphModule) -> nn.Conv2d | nn.Linear | None:
    """The one layer with weights that reads the images, by way of layers that a factor of every channel passes."""
    node = next(node for node in body.graph.nodes if node.op == "placeholder")
    while len(node.users) == 1:
        node = next(iter(node.users))
        layer = body.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
            once = sum(other.target == node.target for other in body.graph.nodes) == 1
            return layer if once else None
        if not isinstance(layer, _PASSED):
            return None
    return None


def _fold_scale(layer: nn.Conv2d | nn.Linear, std: Tensor) -> None:
    """layer(x / std) as layer(x), for std (C,): of a linear layer each channel's pixels are beside each other."""
    weight = layer.weight.double()
    scaled = weight.view(len(weight), len(std), -1) / std.double().view(1, -1, 1)
    layer.weight.data = scaled.view_as(weight).float()


def _same(network: nn.Module, found: Compiled, example: Tensor) -> bool:
    logits, others = network(example), found(example)
    return bool((logits - others).abs().max() <= SAME * logits.abs().max())
