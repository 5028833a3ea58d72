"""What an adversary minimises: per-example losses of an image batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from raylab.core.later import F, Tensor, nn, torch

Classifier = Callable[[Tensor], Tensor]  # (B, C, H, W) in [0, 1] -> logits (B, num_classes)
Features = Callable[[Tensor], Tensor]  # (B, C, H, W) in [0, 1] -> features (B, F)
Objective = Callable[[Tensor], Tensor]  # (B, C, H, W) -> loss (B,), to be minimised


class Featured(Protocol):
    """A classifier that gives its penultimate features by themselves."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Logits, (B, num_classes)."""

    def features(self, x: Tensor, /) -> Tensor:
        """(B, F)."""


SMALLEST_FEATURES = 1e-10  # the least norm that a relative distance divides by: an image may have no active unit


def towards(
    network: Classifier,
    target: Tensor,  # (B,) int64
) -> Objective:
    """x -> the log-odds against `target`: minimising it makes the network say `target` (targeted attack).

    The iterates of normalised and of sign steps are those of the cross-entropy: see `log_odds_against`.
    """
    require_eval(network)
    return lambda x: log_odds_against(network(x), target)


def away(
    network: Classifier,
    label: Tensor,  # (B,) int64
) -> Objective:
    """x -> the log-odds of `label`: minimising it makes the network say anything but `label` (untargeted attack)."""
    require_eval(network)
    return lambda x: -log_odds_against(network(x), label)


def log_odds_against(
    logits: Tensor,  # (B, num_classes), at least 2 classes
    label: Tensor,  # (B,) int64
) -> Tensor:
    """log((1 - p) / p) of p = p(label), (B,): logsumexp of the other logits less the label's own.

    The cross-entropy -log p = softplus of it, an increasing function: its gradient is a positive multiple of this
    one's, so that normalised and sign steps go the same way.  But that multiple, 1 - p, rounds to 0 in float32 from
    p = 1 - 2^-25 on, where a confident network blinds the attack without being robust; this gradient does not vanish.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # of a training in bfloat16: three digits
    own: Tensor = logits.gather(1, label[:, None])
    return (logits.scatter(1, label[:, None], -torch.inf).logsumexp(dim=1, keepdim=True) - own)[:, 0]


def cross_entropy(
    network: Classifier,
    target: Tensor,  # (B,) int64
) -> Objective:
    """x -> -log p(target | x), for sums over images or networks, in which its scale counts; alone, take `towards`."""
    require_eval(network)
    return lambda x: F.cross_entropy(network(x), target, reduction="none")


def feature_distance(
    features: Features,  # `Network.features` of a network in eval mode, or `last_relu.let_through` of it
    reference: Tensor,  # (B, F): the features to be matched
    *,
    relative: bool = False,
) -> Objective:
    """x -> ||g(x) - reference||_2, or that over ||reference||_2 (Ilyas et al. 2019, section 3.1).

    Under normalised gradient steps both move an image alike.
    """
    scale = reference.norm(dim=1).clamp(min=SMALLEST_FEATURES) if relative else reference.new_ones(len(reference))
    return lambda x: torch.linalg.vector_norm(features(x) - reference, dim=1) / scale


def margin(
    logits: Tensor,  # (B, num_classes)
    label: Tensor,  # (B,) int64
) -> Tensor:
    """The label's logit less the largest other, (B,).  At 0 and below the network is wrong: a tie is no answer."""
    at = label[:, None]
    own: Tensor = logits.gather(1, at)[:, 0]
    return own - logits.scatter(1, at, -torch.inf).amax(dim=1)


def spared(
    objective: Objective,  # cross-entropy of the source
    ensemble: Sequence[Classifier],  # at least one
    label: Tensor,  # (B,) int64, the images' own
) -> Objective:
    """x -> objective(x) + mean_i -log p_i(label | x): mislead the source and no network of the ensemble.

    The "bugs" of Nakkiran (Distill 2019, "Adversarial examples are just bugs, too").  A sum of cross-entropies weighs
    each network by how wrong it still is; a sum of log-odds would not.
    """
    keeps = [cross_entropy(network, label) for network in ensemble]
    return lambda x: objective(x) + torch.stack([keep(x) for keep in keeps]).mean(dim=0)


def require_eval(network: Classifier) -> None:
    """Raise ValueError in training mode, where BatchNorm ties examples to their batch and dropout draws."""
    if isinstance(network, nn.Module) and network.training:
        raise ValueError(f"{type(network).__name__} is in training mode: its logits depend on the batch; call .eval()")


def require_full_precision(x: Tensor, logits: Tensor, network: Classifier | None = None) -> None:
    """Raise ValueError below float32: rounding hides small perturbations, and gradients vanish."""
    full = (torch.float32, torch.float64)
    reduced = [t.dtype for t in (x, logits) if t.dtype not in full]
    if isinstance(network, nn.Module) and (weights := [p.dtype for p in network.parameters() if p.dtype not in full]):
        raise ValueError(
            f"robustness is measured in float32, got a network with weights in {weights[0]}; attack the network "
            "itself, not one that is compiled for constructions"
        )
    if reduced or torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"robustness is measured in float32, got {x.dtype} images and {logits.dtype} logits; "
            "call .float() on both, outside of autocast"
        )
    if x.is_cuda and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32):
        raise ValueError("robustness is measured in float32, got TF32 products; set allow_tf32 = False")
