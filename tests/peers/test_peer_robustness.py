"""MadryLab/robustness: its networks read as released ones are, and its inversion of their features."""

from __future__ import annotations

from pathlib import Path

import peer
import pytest
import torch
import toy
from test_peer_pgd import robustness_attack
from torch import Tensor, nn

from raylab.core import published
from raylab.core.invert import Iterate, invert
from raylab.core.networks import NETWORKS, Network
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.stages.released import CIFAR10, released_network
from raylab.stages.weights import load_network

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers

ITERATES: dict[Iterate, bool] = {"last": False, "best": True}


def theirs(name: str) -> nn.Module:
    """A CIFAR network of theirs, its BatchNorm's statistics those of some images."""
    models = peer.need("robustness.cifar_models")
    torch.manual_seed(0)
    net: nn.Module = getattr(models, name)(num_classes=10)
    with torch.no_grad():
        net.train()(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(5)))
    return net.eval().requires_grad_(False)


def read_by_us(net: nn.Module, name: str, folder: Path) -> Network:
    """Through a checkpoint as they write it."""
    constants = {"new_mean": CIFAR10.mean, "new_std": CIFAR10.std}
    state = {f"module.model.{key}": value for key, value in net.state_dict().items()}
    state |= {f"module.normalizer.{key}": torch.tensor(value).view(3, 1, 1) for key, value in constants.items()}
    torch.save({"model": state, "epoch": 1}, folder / "x.pt")
    stage = released_network(folder / "x.pt", name)
    artifact = runner.build({"x": stage}, Store(str(folder)), InlineBackend(), toy.Recorder())["x"]
    return load_network(artifact, "cpu")


def normalised(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, dtype=x.dtype).view(3, 1, 1) for values in (CIFAR10.mean, CIFAR10.std))
    return (x - mean) / std


def pictures(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "called"), [("resnet18", "resnet18"), ("resnet50", "resnet50"), ("vgg16", "vgg16")])
def test_a_checkpoint_has_their_logits_and_their_features(name: str, called: str, tmp_path: Path) -> None:
    net = theirs(called)
    ours, x = read_by_us(net, name, tmp_path), pictures(4, 1)
    with torch.no_grad():
        logits, latent = net(normalised(x), with_latent=True)
        torch.testing.assert_close(ours(x), logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.features(x), latent, rtol=1e-4, atol=1e-5)


def test_an_inversion_is_theirs_in_double_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the options of the authors' notebook: `fake_relu`, a relative distance, hardly a ball, the last iterate."""
    net = theirs("resnet18")
    ours, net = read_by_us(net, "resnet18", tmp_path).double(), net.double()
    x, start = pictures(2, 1).double(), pictures(2, 2).double()
    steps, size = 5, 0.5

    def distance(model: nn.Module, image: Tensor, wanted: Tensor) -> tuple[Tensor, None]:
        _, latent = model(normalised(image), with_latent=True, fake_relu=True)
        return (latent - wanted).norm(dim=1) / wanted.norm(dim=1), None

    with torch.no_grad():
        _, latent = net(normalised(x), with_latent=True)
    options = {"iterations": steps, "targeted": True, "custom_loss": distance}
    for iterate, best in ITERATES.items():
        found = invert(ours, x, start, size, steps, "constant", iterate=iterate)
        image = robustness_attack(net, start, latent, monkeypatch, "2", 1000.0, size, use_best=best, **options)
        # Their floor under a gradient's norm is 1e-10 of its size, or of a little more of it.
        torch.testing.assert_close(found.image, image, rtol=0, atol=1e-7)
        torch.testing.assert_close(found.residual, distance(net, image, latent)[0], rtol=1e-7, atol=0)
        assert (found.residual < distance(net, start, latent)[0]).all()


@pytest.mark.parametrize(
    ("name", "called", "parameters"),
    [("densenet121", "densenet121", 6_956_298), ("inception_v3", "inceptionv3", 22_133_738)],
)
def test_two_networks_of_theirs_are_among_the_published_and_others_than_those_of_the_table(
    name: str, called: str, parameters: int
) -> None:
    kind = "densenet" if name == "densenet121" else "inception"
    module = peer.need(f"robustness.cifar_models.{kind}")
    torch.manual_seed(0)
    net, ours = getattr(module, called)().eval(), getattr(published, f"{kind}_robustness")().eval()
    ours.load_state_dict(net.state_dict())  # names and shapes alike, all of them
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours(x), net(x))
    with torch.device("meta"):
        body, features = NETWORKS[name].body((3, 32, 32))
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert sum(parameter.numel() for parameter in body.parameters()) + 10 * (features + 1) != parameters
