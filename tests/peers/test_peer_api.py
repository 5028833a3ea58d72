"""`raylab.attack` beside the attacks of torchattacks and foolbox: the same network, images, radius and steps."""

from __future__ import annotations

import peer
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import raylab

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers

STEPS = 15
RADII = {"l2": (0.8, 0.15), "linf": (8 / 255, 2 / 255)}  # and step sizes
LOSS = 1e-5  # in double precision, where the floors under a gradient's norm (1e-10, 1e-12) are what differs


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """As the peers take it, too: a module from images in [0, 1] to logits."""
    inner = peer.network(request.param).double()
    return raylab.Normalised(inner, [0.1] * 3, [0.9] * 3).double().eval().requires_grad_(False)


def theirs(peers: str, network: nn.Module, norm: str, x: Tensor, y: Tensor) -> Tensor:
    eps, size = RADII[norm]
    if peers == "torchattacks":
        torchattacks = peer.need(peers)
        attack = {"l2": torchattacks.PGDL2, "linf": torchattacks.PGD}[norm]
        found: Tensor = attack(network, eps=eps, alpha=size, steps=STEPS, random_start=False)(x, y)
        return found
    foolbox = peer.need("foolbox")
    attack = {"l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD}[norm]
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    criterion = foolbox.criteria.Misclassification(y)
    run: Tensor = attack(abs_stepsize=size, steps=STEPS, random_start=False).run(model, x, criterion, epsilon=eps)
    return run


@pytest.mark.parametrize("peers", ["torchattacks", "foolbox"])
@pytest.mark.parametrize("norm", list(RADII))
def test_an_attack_on_tensors_reaches_the_loss_of_its_peers(network: nn.Module, norm: str, peers: str) -> None:
    x = peer.images().double()
    with torch.no_grad():
        y = network(x).argmax(1)
    eps, size = RADII[norm]
    found = raylab.attack(network, x, y, eps=eps, norm=norm, steps=STEPS, step_size=size, iterate="last")

    def loss(z: Tensor) -> Tensor:
        with torch.no_grad():
            return F.cross_entropy(network(z), y, reduction="none")

    assert (loss(found) > loss(x)).all()
    torch.testing.assert_close(loss(found), loss(theirs(peers, network, norm, x, y)), rtol=LOSS, atol=LOSS)
