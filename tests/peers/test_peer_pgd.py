"""Projected gradient descent beside that of MadryLab/robustness, torchattacks and foolbox, from the same start."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable
from typing import Any

import peer
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.networks import Network
from raylab.core.objectives import away, towards
from raylab.core.pgd import Descent, descend

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers

STEPS = 15
BALLS: dict[str, tuple[Ball, float]] = {"l2": (L2Ball(0.8), 0.15), "linf": (LinfBall(8 / 255), 2 / 255)}
LOSS = 1e-5  # all in double precision, where the floors under a gradient's norm (1e-10, 1e-12) are what differs
PIXELS = 1e-3  # share that may differ under sign steps, where a gradient is zero but for rounding


@pytest.fixture(scope="module", params=["mlp", "cnn", "vgg_small"])
def network(request: pytest.FixtureRequest) -> Network:
    return peer.network(request.param).double()


def start(network: Network, targeted: bool) -> tuple[Tensor, Tensor]:
    """Images, and the classes that are attacked: their own by the network, or the next."""
    x = peer.images().to(next(network.parameters()))
    with torch.no_grad():
        own = network(x).argmax(1)
    return x, (own + 1) % peer.CLASSES if targeted else own


def ours(network: Network, norm: str, targeted: bool) -> Descent:
    x, y = start(network, targeted)
    ball, size = BALLS[norm]
    return descend((towards if targeted else away)(network, y), x, ball, size, STEPS)


def agree(network: Network, norm: str, targeted: bool, found: Tensor, theirs: Tensor) -> None:
    """The attacks' losses to LOSS; under sign steps the very pixels too."""
    _, y = start(network, targeted)
    with torch.no_grad():
        losses = [F.cross_entropy(network(z), y, reduction="none") for z in (found, theirs)]
        begun = F.cross_entropy(network(start(network, targeted)[0]), y, reduction="none")
    assert ((losses[0] < begun) if targeted else (losses[0] > begun)).all()  # they did attack
    torch.testing.assert_close(losses[0], losses[1], rtol=LOSS, atol=LOSS)
    if norm == "linf":
        assert ((found - theirs).abs() > 1e-6).float().mean() <= PIXELS


ATTACKS = [(norm, targeted) for norm in BALLS for targeted in (False, True)]


@pytest.mark.parametrize(("norm", "targeted"), ATTACKS)
def test_the_best_iterate_is_that_of_robustness(
    network: Network, norm: str, targeted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.need("robustness.attacker")
    found = ours(network, norm, targeted)
    x, y = start(network, targeted)
    constraint = {"l2": "2", "linf": "inf"}[norm]
    for use_best, own in ((True, found.best), (False, found.last)):
        options = {"iterations": STEPS, "targeted": targeted, "use_best": use_best}
        theirs = robustness_attack(network, x, y, monkeypatch, constraint, *both(norm), **options)
        agree(network, norm, targeted, own, theirs)


def both(norm: str) -> tuple[float, float]:
    ball, size = BALLS[norm]
    return ball.eps, size


def robustness_attack(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    constraint: str,
    eps: float,
    step_size: float,
    **options: Any,
) -> Tensor:
    """On the CPU, where it asks for a GPU; the network normalises by itself."""
    attacker = peer.need("robustness.attacker")
    monkeypatch.setattr(Tensor, "cuda", lambda self, *_, **__: self)

    class Data:
        mean, std = torch.zeros(3), torch.ones(3)

    attack = attacker.Attacker(network, Data())
    found: Tensor = attack(x, y, constraint=constraint, eps=eps, step_size=step_size, should_normalize=False, **options)
    return found.detach()


@pytest.mark.parametrize(("norm", "targeted"), ATTACKS)
def test_the_last_iterate_is_that_of_torchattacks(network: Network, norm: str, targeted: bool) -> None:
    torchattacks = peer.need("torchattacks")
    x, y = start(network, targeted)
    eps, size = both(norm)
    attack = {"l2": torchattacks.PGDL2, "linf": torchattacks.PGD}[norm](
        network, eps=eps, alpha=size, steps=STEPS, random_start=False
    )
    if targeted:
        with contextlib.redirect_stdout(io.StringIO()):
            attack.set_mode_targeted_by_label()
    agree(network, norm, targeted, ours(network, norm, targeted).last, attack(x, y))


@pytest.mark.parametrize(("norm", "targeted"), ATTACKS)
def test_the_last_iterate_is_that_of_foolbox(network: Network, norm: str, targeted: bool) -> None:
    foolbox = peer.need("foolbox")
    x, y = start(network, targeted)
    eps, size = both(norm)
    attack = {"l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD}[norm](
        abs_stepsize=size, steps=STEPS, random_start=False
    )
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    criterion = (foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification)(y)
    agree(network, norm, targeted, ours(network, norm, targeted).last, attack.run(model, x, criterion, epsilon=eps))


@pytest.mark.parametrize("peers", ["robustness", "torchattacks"])
def test_linf_steps_on_the_same_loss_are_the_same_to_the_last_bit(
    network: Network, peers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single precision. Sixteen images: the mean of losses has a sixteenth of their gradients, without rounding."""
    network = copy.deepcopy(network).float()
    x, y = start(network, targeted=False)
    peer.need({"robustness": "robustness.attacker"}.get(peers, peers))
    ball, size = BALLS["linf"]
    objective: Callable[[Tensor], Tensor] = lambda z: -F.cross_entropy(network(z), y, reduction="none")  # noqa: E731
    found = descend(objective, x, ball, size, STEPS).last
    if peers == "robustness":
        theirs = robustness_attack(network, x, y, monkeypatch, "inf", ball.eps, size, iterations=STEPS, use_best=False)
    else:
        attack = peer.need("torchattacks").PGD(network, eps=ball.eps, alpha=size, steps=STEPS, random_start=False)
        theirs = attack(x, y)
    assert torch.equal(found, theirs)
