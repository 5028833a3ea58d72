"""A compiled network is the same function: in float32 up to rounding, in bfloat16 up to three digits."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from raylab.core.compiled import Compiled, compiled
from raylab.core.networks import NETWORKS, Network, build

SHAPE = (3, 32, 32)
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)  # no two channels alike, and no mean at 0: borders must show
LEFT = {"densenet121": 62}  # BatchNorms that follow no layer: they come before the ReLU that precedes a convolution
BIG = ("vgg16", "resnet50", "densenet121", "inception_v3")
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in BIG else ()) for name in NETWORKS]


def images(count: int = 4) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))


def network(name: str) -> Network:
    """Statistics of BatchNorm as after a training: signals neither vanish nor explode."""
    net = build(name, SHAPE, 10, MEAN, STD, seed=0).train()
    generator = torch.Generator().manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = None  # the mean of all batches
            with torch.no_grad():
                layer.weight.copy_(0.5 + torch.rand(layer.weight.shape, generator=generator))
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) / 4)
    with torch.no_grad():
        net(images(32))
    return net.eval().requires_grad_(False)


def gradient(net: nn.Module, x: Tensor) -> Tensor:
    z = x.clone().requires_grad_()
    loss = F.cross_entropy(net(z), torch.arange(len(x)), reduction="sum")
    return torch.autograd.grad(loss, z)[0]


def cosine(one: Tensor, other: Tensor) -> float:
    return float(F.cosine_similarity(one.flatten(1).double(), other.flatten(1).double()).min())


@pytest.mark.parametrize("name", NAMES)
def test_in_float32_it_is_the_network_up_to_rounding(name: str) -> None:
    net, x = network(name), images()
    fast, rounded = compiled(net, x[:1]), net(x)
    exact = net.double()(x.double())
    error, own = ((logits - exact).abs().max() / exact.abs().max() for logits in (fast(x), rounded))
    assert error < 5 * own + 1e-6
    assert cosine(gradient(fast, x), gradient(net, x.double())) > 0.999
    assert sum(isinstance(layer, _BatchNorm) for layer in fast.modules()) == LEFT.get(name, 0)
    assert not any(p.requires_grad for p in fast.parameters())
    assert torch.equal(fast(x), compiled(network(name), x[:1])(x))  # bits too: nothing is chosen by a stopwatch


@pytest.mark.parametrize("name", NAMES)
def test_in_bfloat16_images_gradients_features_and_logits_stay_float32(name: str) -> None:
    net, x = network(name), images()
    fast = compiled(net, x[:1], "bfloat16")
    logits, exact = fast(x), net(x)
    assert (logits - exact).abs().max() / exact.abs().max() < 0.25  # fifty layers of random weights: 0.14
    assert {logits.dtype, fast.features(x).dtype, gradient(fast, x).dtype} == {torch.float32}
    reduced = {p.dtype for layer in fast.body.modules() if not isinstance(layer, _BatchNorm)
               for p in layer.parameters(recurse=False)}  # fmt: skip
    assert reduced <= {torch.bfloat16}
    assert bool(reduced) == (name != "linear")
    assert fast.head.weight.dtype == torch.float32
    if name == "linear":
        assert torch.equal(logits, exact)  # a body without weights has nothing to reduce


def test_the_network_itself_is_left_as_it_was() -> None:
    net = network("vgg_small")
    before = copy.deepcopy(net.state_dict())
    fast = compiled(net, images(1), "bfloat16")
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    assert {p.data_ptr() for p in net.parameters()}.isdisjoint(p.data_ptr() for p in fast.parameters())


def test_features_are_those_of_the_network() -> None:
    net, x = network("resnet9_w16"), images()
    torch.testing.assert_close(compiled(net, x[:1]).features(x), net.features(x), rtol=1e-4, atol=1e-5)


class Twice(nn.Module):
    """One convolution called twice, with a BatchNorm after the second call alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.conv(x))).flatten(1)  # type: ignore[no-any-return]


class Asks(Twice):
    """Cannot be traced: which way it goes depends on its values."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.mean() > 0 else -x)


class Deceives(Twice):
    """Another function to whom passes no tensor, as the tracer does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if isinstance(x, Tensor) else super().forward(2.0 * x)


@pytest.mark.parametrize("kind", [Twice, Asks, Deceives])
def test_what_cannot_be_folded_is_kept(kind: type[nn.Module]) -> None:
    net = kind()
    net.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr,operator]
    net.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr,operator]
    net, x = net.eval(), images()
    fast = compiled(net, x)
    torch.testing.assert_close(fast(x), net(x), rtol=1e-5, atol=1e-6)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in fast.modules())


def test_any_module_is_taken_that_turns_images_into_logits() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 8), nn.BatchNorm1d(8)]
    net, x = nn.Sequential(*layers), images(8)
    net(x)
    fast = compiled(net.eval(), x[:2])
    torch.testing.assert_close(fast(x), net(x), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(layer, _BatchNorm) for layer in fast.modules())
    assert isinstance(fast, Compiled)


def test_bad_arguments_are_refused() -> None:
    net = network("cnn")
    with pytest.raises(ValueError, match="training mode"):
        compiled(copy.deepcopy(net).train(), images(1))
    with pytest.raises(ValueError, match="precision: one of float32, bfloat16, got 'float16'"):
        compiled(net, images(1), "float16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"a network in float32, got torch.float64; call .float\(\)"):
        compiled(net.double(), images(1))
