"""Every network of the table: shapes, head and features, normalisation, seeds, and what it must refuse."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from raylab.core import torchvision_compat
from raylab.core.bodies import Body, Shape
from raylab.core.networks import NETWORKS, Network, build, check

# A cheap shape for each, its least size among them, colours and greys, and an image that is not square.
CASES = [
    *[(name, (1, 8, 8), 10) for name in NETWORKS if NETWORKS[name].smallest <= 8],
    *[(name, (3, 16, 16), 3) for name in ("linear", "mlp", "mlp_bottleneck16", "mixer", "cnn", "vgg_small")],
    *[(name, (2, 13, 20), 2) for name in ("linear", "mlp", "mixer", "cnn", "vgg_small", "resnet9", "resnet18")],
    *[(name, (3, 32, 32), 10) for name in ("mixer", "cnn", "vgg_small", "resnet9_w16", "vgg16", "resnet18")],
    ("inception_v3", (1, 9, 9), 2),
    ("inception_v3", (3, 32, 32), 10),
    ("densenet121", (3, 32, 32), 4),
    ("mixer", (1, 28, 28), 10),
    ("kumano_convnet_w4", (1, 28, 28), 10),
    ("kumano_convnet_w4", (3, 11, 11), 3),
]
TORCHVISION = ("vgg16", "resnet18", "resnet50", "densenet121", "inception_v3")


def make(name: str, shape: Shape = (1, 8, 8), num_classes: int = 10, seed: int = 0) -> Network:
    return build(name, shape, num_classes, [0.4] * shape[0], [0.2] * shape[0], seed)


def pixels(shape: tuple[int, ...], batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "shape", "num_classes"), CASES)
def test_a_network_maps_images_to_logits_through_its_features_and_learns_everywhere(
    name: str, shape: Shape, num_classes: int
) -> None:
    network = make(name, shape, num_classes)
    x = pixels(shape).requires_grad_()
    network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    for parameter in network.parameters():  # in training mode: two images suffice BatchNorm at the least size
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    network.eval()
    with torch.no_grad():
        features, logits = network.features(x), network(x)
    assert features.shape == (2, network.head.in_features)
    assert logits.shape == (2, num_classes)
    assert torch.equal(logits, network.head(features))


@pytest.mark.parametrize("name", NETWORKS)
def test_normalisation_is_the_first_layer(name: str) -> None:
    side = max(8, NETWORKS[name].smallest)
    moved = build(name, (3, side, side), 4, [0.1, 0.5, 0.3], [0.2, 0.1, 0.4], seed=0).eval()
    plain = build(name, (3, side, side), 4, [0.0] * 3, [1.0] * 3, seed=0).eval()
    x = pixels((3, side, side))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.1, 0.5, 0.3], [0.2, 0.1, 0.4]))
    with torch.no_grad():
        assert torch.equal(moved(x), plain((x - mean) / std))


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_a_function_of_the_seed_and_global_random_state_is_left_alone(name: str) -> None:
    side = max(8, NETWORKS[name].smallest)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(name, (1, side, side), seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (make(name, (1, side, side), seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    if name != "linear":
        assert not all(torch.equal(first[key], other[key]) for key in first if key.startswith("body"))


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].smallest > 1])
def test_the_least_size_is_the_true_one(name: str) -> None:
    smallest = NETWORKS[name].smallest
    assert make(name, (1, smallest, smallest))(pixels((1, smallest, smallest))).shape == (2, 10)
    side = smallest - 1
    body, _ = NETWORKS[name].body((1, side, side))
    with pytest.raises(RuntimeError):
        body(pixels((1, side, side)))
    with pytest.raises(ValueError, match=rf"{name}: .*at least {smallest}x{smallest}, got {side}x{smallest}"):
        check(name, (1, side, smallest), 10)


def test_a_refusal_names_networks_that_would_do() -> None:
    with pytest.raises(ValueError, match="choose a network that takes 8x8: linear, mlp") as error:
        build("vgg16", (1, 8, 8), 10, [0.5], [0.25], 0)
    others = str(error.value).split("takes 8x8: ")[1].split(", ")
    assert set(others) == {name for name in NETWORKS if NETWORKS[name].smallest <= 8}


@pytest.mark.parametrize(
    ("name", "shape", "num_classes", "message"),
    [
        ("resnet-18", (3, 32, 32), 10, "did you mean 'resnet18'"),
        ("transformer", (3, 32, 32), 10, "choose one of linear, mlp"),
        ("mlp", (0, 8, 8), 10, "channels, height, width"),
        ("mlp", (8, 8), 10, "channels, height, width"),
        ("mlp", (1, 8, 8), 1, "at least 2 classes, got 1"),
    ],
)
def test_impossible_requests_are_refused_with_a_remedy(name: str, shape: Shape, num_classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(name, shape, num_classes)


def test_refusal_comes_before_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_shape: Shape) -> Body:
        raise AssertionError

    monkeypatch.setitem(NETWORKS, "vgg16", replace(NETWORKS["vgg16"], body=never))
    with pytest.raises(ValueError, match="at least 32x32"):
        make("vgg16", (3, 16, 16))


@pytest.mark.parametrize(
    ("mean", "std"), [([0.5], [0.0]), ([0.5, 0.5], [1.0, 1.0]), ([math.nan], [1.0]), ([0.5], [-1.0])]
)
def test_impossible_normalisations_are_refused(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ValueError, match="mean"):
        build("mlp", (1, 8, 8), 10, mean, std, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_memory_format_of_the_images_does_not_change_a_bit(channels: int) -> None:
    network = make("resnet9_w16", (channels, 32, 32)).eval()
    x = pixels((channels, 32, 32), batch=5)
    last = x.clone(memory_format=torch.channels_last)
    assert last.stride() != x.stride()
    with torch.no_grad():
        assert torch.equal(network(x), network(last))


def test_convolutions_run_channels_last_and_the_others_do_not() -> None:
    cnn, mlp = make("cnn", (3, 16, 16)), make("mlp", (3, 16, 16))
    assert cnn.prefers_channels_last
    assert not mlp.prefers_channels_last
    weights = next(p for p in cnn.parameters() if p.ndim == 4)
    assert weights.is_contiguous(memory_format=torch.channels_last)


def test_the_bottleneck_has_fewer_features_than_the_smallest_image_has_pixels() -> None:
    assert make("mlp_bottleneck16").head.in_features == 16
    assert make("mlp").head.in_features == 128


@pytest.mark.parametrize("name", TORCHVISION[1:])
def test_small_images_meet_a_small_stem_and_large_ones_the_original(name: str) -> None:
    def stride_of_first(side: int) -> tuple[int, ...]:
        body, _ = NETWORKS[name].body((3, side, side))
        return next(layer for layer in body.modules() if isinstance(layer, torch.nn.Conv2d)).stride

    assert stride_of_first(127) == (1, 1)
    assert stride_of_first(128) == (2, 2)


@pytest.mark.parametrize(("name", "side"), [("resnet18", 4), ("densenet121", 4), ("inception_v3", 6)])
def test_a_small_stem_keeps_the_resolution(name: str, side: int) -> None:
    """The last feature maps at 32x32 are those of the literature's CIFAR versions; an ImageNet stem leaves 1x1."""
    network = make(name, (3, 32, 32)).eval()
    sizes = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(lambda _layer, inputs, _output: sizes.append(inputs[0].shape[2:]))
    with torch.no_grad():
        network(pixels((3, 32, 32)))
    assert sizes == [(side, side)]


def test_large_images_pass_through_the_original_stem() -> None:
    network = make("resnet18", (1, 128, 130), 5)
    assert network(pixels((1, 128, 130))).shape == (2, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_draws_from_the_global_random_state_while_learning(name: str) -> None:
    side = max(8, NETWORKS[name].smallest)
    network = make(name, (1, side, side))
    before = torch.get_rng_state()
    network(pixels((1, side, side))).sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_torchvision_stays_away_until_one_of_its_networks_is_built() -> None:
    """And then it is there, whatever torch it was compiled for: a fresh process, warnings as errors."""
    code = (
        "import sys; from raylab.core.networks import build\n"
        "build('cnn', (1, 8, 8), 10, [.5], [.5], 0); assert 'torchvision' not in sys.modules\n"
        "build('resnet18', (1, 8, 8), 10, [.5], [.5], 0); import torchvision.models\n"
        "import gc, torch; gc.collect(); torch.ops.torchvision.nms"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_a_failure_of_torchvision_that_is_not_the_known_one_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_name: str) -> None:
        raise RuntimeError("undefined symbol")

    torchvision_compat.load.cache_clear()
    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(RuntimeError, match="undefined symbol"):
        torchvision_compat.load()


def test_kumano_s_convnet_is_the_one_of_the_authors_code() -> None:
    """Written out with functions, after their forward pass, on 28x28."""
    network = make("kumano_convnet_w4", (1, 28, 28)).eval()
    weights = [module for module in network.body.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [(w.out_channels, w.stride[0], w.padding[0]) for w in weights] == [
        (4, 2, 0), (32, 1, 0), (32, 1, 1), (64, 1, 0), (64, 1, 1),
    ]  # fmt: skip
    x = pixels((1, 28, 28))
    first, second, third, fourth, fifth = weights
    z = torch.relu(first((x - 0.4) / 0.2))
    z = torch.relu(second(z))
    z = z + torch.relu(third(z))
    z = torch.relu(fourth(z))
    z = z + torch.relu(fifth(z))
    z = torch.nn.functional.avg_pool2d(z, 9).flatten(1)
    torch.testing.assert_close(network(x), network.head(z))
    wide = make("kumano_convnet", (1, 28, 28))
    assert [m.out_channels for m in wide.body.modules() if isinstance(m, torch.nn.Conv2d)] == [16, 128, 128, 256, 256]


@pytest.mark.parametrize(("name", "theirs"), [("densenet121", 6_956_298), ("inception_v3", 22_133_738)])
def test_two_networks_differ_from_the_cifar_versions_of_robustness_by_what_their_docstrings_say(
    name: str, theirs: int
) -> None:
    """Of 10 classes; `theirs` are the parameters of MadryLab/robustness 1.2.1 (`tests/peers` counts them)."""
    with torch.device("meta"):
        body, num_features = NETWORKS[name].body((3, 32, 32))
    ours = sum(parameter.numel() for parameter in body.parameters()) + 10 * (num_features + 1)
    stem = 2 * 64  # a weight and a bias for each channel of the BatchNorm
    pools = 8 * (192 * 32 + 256 * 64 + 288 * 64)  # of the 9 weights of a 3x3 convolution a 1x1 has one
    assert ours - theirs == (stem if name == "densenet121" else -pools)
    said = NETWORKS[name].body.__doc__ or ""
    assert f"{abs(ours - theirs):,} parameters" in " ".join(said.split())
