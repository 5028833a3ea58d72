"""Loops that raylab is compared with: the least that does the work, those of other packages, written down or called."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor], Tensor]  # images -> a loss of each, to be raised


def plain(loss: Loss, x: Tensor, eps: float, size: float, steps: int, start: Tensor | None = None) -> Tensor:
    """PGD in an L2 ball and nothing else: no best iterate, no further forward pass, gradients of the images alone."""
    z = (x if start is None else start).clone()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(z.requires_grad_()).sum(), z)
        z = _projected(z.detach() + size * _unit(gradient), x, eps)
    return z


def robustness(loss: Loss, x: Tensor, eps: float, size: float, steps: int, start: Tensor | None = None) -> Tensor:
    """The loop of MadryLab/robustness 1.2 (`attacker.Attacker.forward`, use_best): it copies the images at every step,
    keeps the best, and asks for the loss once more at the end."""
    z = (x if start is None else start).clone()
    best_loss, best = None, z
    for _ in range(steps):
        z = z.clone().detach().requires_grad_(True)
        losses = loss(z)
        (gradient,) = torch.autograd.grad(losses.mean(), [z])
        with torch.no_grad():
            best_loss, best = _better(losses, best_loss, z, best)
            z = _projected(z + size * _unit(gradient), x, eps)
    with torch.no_grad():
        return _better(loss(z), best_loss, z, best)[1]


def _better(losses: Tensor, best_loss: Tensor | None, z: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    if best_loss is None:
        return losses.clone().detach(), z.clone().detach()
    higher = best_loss < losses
    best[higher], best_loss[higher] = z[higher].clone().detach(), losses[higher]
    return best_loss, best


def _unit(gradient: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return gradient / (norm.view(-1, 1, 1, 1) + 1e-10)


def _projected(z: Tensor, x: Tensor, eps: float) -> Tensor:
    delta = torch.renorm(z - x, p=2, dim=0, maxnorm=eps)
    return torch.clamp(x + delta, 0, 1)


def cross_entropy(network: nn.Module, label: Tensor) -> Loss:
    return lambda z: F.cross_entropy(network(z), label, reduction="none")


def peers(network: nn.Module, x: Tensor, label: Tensor, eps: float, size: float, steps: int) -> dict[str, Any]:
    """The packages that are installed, by name and version, each as something to call; parameters are as a user has
    them who does not freeze them."""
    return dict(_peers(network, x, label, eps, size, steps))


def _peers(
    network: nn.Module, x: Tensor, label: Tensor, eps: float, size: float, steps: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    network.requires_grad_(True)
    if torchattacks := installed("torchattacks"):
        attack = torchattacks.PGDL2(network, eps=eps, alpha=size, steps=steps, random_start=False)
        yield f"torchattacks {metadata.version('torchattacks')}", lambda: attack(x, label)
    if foolbox := installed("foolbox"):
        model = foolbox.PyTorchModel(network, bounds=(0, 1), device=x.device)
        descent = foolbox.attacks.L2ProjectedGradientDescentAttack(abs_stepsize=size, steps=steps, random_start=False)
        yield f"foolbox {metadata.version('foolbox')}", lambda: descent.run(model, x, label, epsilon=eps)


def installed(name: str) -> Any:
    """None where it is not, or needs what is not."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None
