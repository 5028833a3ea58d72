"""What an adversary minimises: per-example losses of an image batch."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Classifier = Callable[[Tensor], Tensor]  # (B, C, H, W) in [0, 1] -> logits (B, num_classes)
Objective = Callable[[Tensor], Tensor]  # (B, C, H, W) -> loss (B,), to be minimised


def towards(
    network: Classifier,
    target: Tensor,  # (B,) int64
) -> Objective:
    """x -> -log p(target | x): minimising it makes the network say `target` (targeted attack)."""
    require_eval(network)
    return lambda x: F.cross_entropy(network(x), target, reduction="none")


def away(
    network: Classifier,
    label: Tensor,  # (B,) int64
) -> Objective:
    """x -> log p(label | x): minimising it makes the network say anything but `label` (untargeted attack)."""
    require_eval(network)
    return lambda x: -F.cross_entropy(network(x), label, reduction="none")


def require_eval(network: Classifier) -> None:
    """Raise ValueError in training mode, where BatchNorm ties examples to their batch and dropout draws."""
    if isinstance(network, nn.Module) and network.training:
        raise ValueError(f"{type(network).__name__} is in training mode: its logits depend on the batch; call .eval()")
