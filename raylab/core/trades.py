"""What adversarial training may minimise instead of the cross-entropy under attack: TRADES; and AWP, for either.

After Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy", and Wu et al. 2020,
"Adversarial weight perturbation helps robust generalization", in the order of their authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from raylab.core.balls import Ball
from raylab.core.later import F, Tensor, networks, torch
from raylab.core.pgd import descend
from raylab.core.schedules import ramped

NOISE = 1e-3  # standard deviation of the pixels' noise at the start: at the image itself the divergence has no slope


@dataclass(frozen=True)
class Trades:
    """Cross-entropy on clean images plus `beta` times the divergence of the answers on attacked from those on clean
    ones; the attack maximises that divergence, by `steps` steps of `step_share` * eps that grow with the radius over
    the first `ramp` of the training (0: the published recipe)."""

    ball: Ball
    steps: int
    step_share: float
    ramp: float
    beta: float

    def attack(
        self,
        network: networks.Network,  # in eval mode
        x: Tensor,  # (B, C, H, W)
        noise: Tensor,  # (B, C, H, W), standard normal
        progress: float,  # in [0, 1)
    ) -> Tensor:
        """The last iterate; the image itself where the ramp begins."""
        strength = ramped(progress, self.ramp)
        if strength == 0.0:
            return x
        with torch.no_grad():
            clean = network(x).softmax(dim=1)
        now = replace(self.ball, eps=strength * self.ball.eps)

        def alike(z: Tensor) -> Tensor:
            return -divergence(network(z), clean)

        return descend(alike, x, now, self.step_share * now.eps, self.steps, start=x + NOISE * noise).last

    def loss(self, clean: Tensor, attacked: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Of logits, (B, num_classes) both. The gradient flows through both of them, as in the authors' code."""
        natural = F.cross_entropy(clean, labels, label_smoothing=label_smoothing)
        return natural + self.beta * divergence(attacked, clean.softmax(dim=1)).mean()


def divergence(
    logits: Tensor,  # (B, num_classes)
    clean: Tensor,  # (B, num_classes), probabilities
) -> Tensor:
    """KL(clean || softmax(logits)) of each example, (B,)."""
    return F.kl_div(logits.log_softmax(dim=1), clean, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class WeightPerturbation:
    """AWP: every step of the training is taken where the weights are worst within a share `gamma` of their size."""

    gamma: float
    after: int = 0  # epochs without it

    @contextmanager
    def worst(
        self,
        network: networks.Network,  # in training mode
        forward: Callable[[], tuple[Tensor, Tensor]],  # its logits and loss on a batch
    ) -> Iterator[None]:
        """Inside, each weight of two or more dimensions lies gamma * ||w|| further along its gradient of the loss.

        The running statistics of BatchNorm do not see the extra pass. What an optimizer does inside is kept.
        """
        weights = [weight for weight in network.parameters() if weight.ndim > 1]
        before = [buffer.clone() for buffer in network.buffers()]
        gradients = torch.autograd.grad(forward()[1], weights)
        with torch.no_grad():
            for buffer, old in zip(network.buffers(), before, strict=True):
                buffer.copy_(old)
            moves = [self._move(w, g) for w, g in zip(weights, gradients, strict=True)]
            for weight, move in zip(weights, moves, strict=True):
                weight.add_(move)
        yield
        with torch.no_grad():
            for weight, move in zip(weights, moves, strict=True):
                weight.sub_(move)

    def _move(self, weight: Tensor, gradient: Tensor) -> Tensor:
        size = gradient.norm()
        return torch.where(size > 0, gradient * (self.gamma * weight.norm() / size), torch.zeros_like(gradient))
