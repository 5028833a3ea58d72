"""The identity gradient through the last ReLU: same features, the gradient of the units before it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core.last_relu import let_through
from raylab.core.networks import Network, Normalise, build


class _Functional(nn.Module):
    """As torchvision's Inception: no ReLU module; as its ResNet's: several ReLUs under one name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(torch.relu(self.first(x.flatten(1)))), inplace=True)


def _network(body: nn.Module, num_features: int = 8) -> Network:
    return Network(Normalise([0.0] * 3, [1.0] * 3), body, nn.Linear(num_features, 4), False).eval()


def _bodies() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    modules = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 16), nn.ReLU(inplace=True), nn.Linear(16, 8), nn.ReLU(inplace=True)
    )
    return {"functions": _Functional(), "modules": modules}


def _before(kind: str, body: nn.Module, x: Tensor) -> Tensor:
    if kind == "functions":
        return body.second(body.first(x.flatten(1)).relu())  # type: ignore[operator, union-attr]
    return body[:4](x)  # type: ignore[index]


@pytest.mark.parametrize("kind", ["functions", "modules"])
def test_the_features_are_the_same_and_the_gradient_is_that_of_the_units_before(kind: str) -> None:
    body = _bodies()[kind]
    x = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    weights = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    features = let_through(_network(body), x)(x)
    assert torch.equal(features, _network(body).features(x))
    assert 0.2 < float((features == 0).float().mean()) < 0.8  # else nothing was let through
    (gradient,) = torch.autograd.grad((features * weights).sum(), x)
    (expected,) = torch.autograd.grad((_before(kind, body, x) * weights).sum(), x)
    torch.testing.assert_close(gradient, expected)
    (true,) = torch.autograd.grad((_network(body).features(x) * weights).sum(), x)
    assert (gradient - true).abs().max() > 0.01


def test_only_the_last_relu_passes_and_only_while_it_is_asked_for() -> None:
    network, x = _network(_Functional()), torch.rand(2, 3, 2, 2, requires_grad=True)
    let_through(network, x)(x)
    assert torch.equal(network.features(x), network.body(x))
    (after,) = torch.autograd.grad(F.relu(x - 0.5).sum(), x)
    assert torch.equal(after, (x > 0.5).float())


def test_torchvisions_networks_have_a_last_relu() -> None:
    network = build("resnet18", (3, 8, 8), 4, [0.5] * 3, [0.25] * 3, seed=0).eval()
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(let_through(network, x)(x), network.features(x))


def test_a_network_without_one_is_refused() -> None:
    network = build("linear", (1, 8, 8), 4, [0.5], [0.25], seed=0).eval()
    with pytest.raises(ValueError, match="got one without"):
        let_through(network, torch.rand(2, 1, 8, 8))
