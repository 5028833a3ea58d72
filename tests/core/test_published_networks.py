"""The networks of published checkpoints: as many parameters as were published, their names, and what they compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raylab.core import published

# Of ten classes.  Zagoruyko and Komodakis 2016, table 4: 36.5M; RobustBench's others: 46.2M, 266.8M and 11.2M.
COUNTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "WideResNet-28-10": (lambda: published.wide_resnet(28, 10), 36_479_194),
    "WideResNet-34-10": (lambda: published.wide_resnet(34, 10), 46_160_474),
    "WideResNet-70-16": (lambda: published.wide_resnet(70, 16), 266_796_506),
    "WideResNet-70-16 of Gowal et al.": (lambda: published.wide_resnet_gowal2020(70, 16), 266_796_506),
    "PreActResNet-18": (published.preact_resnet18, 11_172_170),
    "DenseNet-121 of MadryLab/robustness": (published.densenet_robustness, 6_956_298),
    "Inception v3 of MadryLab/robustness": (published.inception_robustness, 22_133_738),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_network_has_as_many_parameters_as_were_published(name: str) -> None:
    make, count = COUNTS[name]
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in make().parameters()) == count


SMALL: dict[str, Callable[[], nn.Module]] = {
    "wide": lambda: published.wide_resnet(10, 1),
    "wide, as kept": lambda: published.wide_resnet(10, 1, sub_block1=True),
    "Gowal": lambda: published.wide_resnet_gowal2020(10, 1),
    "preact": published.preact_resnet18,
    "dense": lambda: published.densenet_robustness(blocks=(1, 2, 1, 1), growth=4),
    "inception": published.inception_robustness,
}


@pytest.mark.parametrize("name", SMALL)
def test_images_of_32_pixels_give_logits_that_every_tensor_in_use_decides(name: str) -> None:
    network = SMALL[name]()
    logits = network(torch.rand(4, 3, 32, 32))
    assert logits.shape == (4, 10)
    logits.square().sum().backward()
    idle = {part.split(".")[0] for part, tensor in network.named_parameters() if tensor.grad is None}
    assert idle == ({"sub_block1"} if name == "wide, as kept" else set())


def test_tensors_have_the_names_that_are_in_the_files() -> None:
    wide = published.wide_resnet(10, 2).state_dict()
    assert {"conv1.weight", "block1.layer.0.convShortcut.weight", "block3.layer.0.bn2.running_mean", "fc.bias"} <= set(
        wide
    )
    gowal = published.wide_resnet_gowal2020(10, 2).state_dict()
    assert {"init_conv.weight", "layer.0.block.0.batchnorm_0.weight", "layer.2.block.0.shortcut.weight"} <= set(gowal)
    preact = published.preact_resnet18().state_dict()
    assert {"layer1.0.bn1.weight", "layer2.0.shortcut.0.weight", "bn.weight", "linear.bias"} <= set(preact)
    assert "layer1.0.shortcut.0.weight" not in preact


def test_a_block_is_the_formula_of_the_paper() -> None:
    torch.manual_seed(0)
    block = published.PreActivated(4, 6, 2, "convShortcut").eval()
    x = torch.rand(2, 4, 8, 8)

    def activated(norm: nn.BatchNorm2d, of: Tensor) -> Tensor:
        return F.relu((of - norm.running_mean.view(-1, 1, 1)) / torch.sqrt(norm.running_var.view(-1, 1, 1) + norm.eps))  # type: ignore[union-attr]

    active = activated(block.bn1, x)
    inner = F.conv2d(active, block.conv1.weight, stride=2, padding=1)
    inner = F.conv2d(activated(block.bn2, inner), block.conv2.weight, padding=1)
    expected = inner + F.conv2d(active, block.convShortcut.weight, stride=2)  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(block(x), expected)


def test_a_stride_of_two_pads_below_and_on_the_right_in_the_layout_of_gowal() -> None:
    block = published.Gowal2020Block(1, 2, 2, F.relu).eval()
    seen: list[Tensor] = []
    block.conv_0.register_forward_hook(lambda _layer, given, _out: seen.append(given[0]))
    with torch.no_grad():
        block(torch.ones(1, 1, 4, 4))
    assert seen[0].shape == (1, 1, 5, 5)
    assert float(seen[0][..., -1, :].abs().sum() + seen[0][..., -1].abs().sum()) == 0.0
    assert float(seen[0][..., 0, 0]) > 0.0


@pytest.mark.parametrize("depth", [4, 27, 30])
def test_a_depth_that_makes_no_blocks_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"4 more than a multiple of 6, .*got {depth}"):
        published.wide_resnet(depth, 1)
