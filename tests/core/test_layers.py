"""Layer robustness against closed forms, and the layers of every network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raylab.core.balls import L2Ball, LinfBall
from raylab.core.layers import LAYERS, LOGITS, apart, layers, moved
from raylab.core.networks import NETWORKS, build
from raylab.core.robust import random_start

IDS = np.arange(4)


def begin(x: Tensor, eps: float = 0.5) -> Tensor:
    return random_start(x, L2Ball(eps), IDS[: len(x)], 0, "test")


def linear(rows: int = 6, columns: int = 9, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_a_linear_layer_moves_by_eps_times_its_largest_singular_value() -> None:
    """||W delta|| <= eps sigma_1, reached along the first right singular vector; without bounds, whatever the image."""
    w = linear()
    x = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    found = moved(lambda z: z.flatten(1) @ w.T + 3.0, x, L2Ball(0.5), begin(x), 200, bounds=None)
    largest = 0.5 * float(torch.linalg.matrix_norm(w, 2))
    assert (found <= largest * (1 + 1e-5)).all()
    assert found.numpy() == pytest.approx(np.full(4, largest), rel=1e-3)  # a power method: linear convergence


def test_a_diagonal_layer_in_linf_moves_by_eps_times_its_norm() -> None:
    """max over |delta_i| <= eps of ||D delta|| is eps ||d||, at any corner."""
    d = torch.tensor([1.0, 2.0, -3.0, 0.5])
    x = torch.zeros(2, 1, 2, 2)
    start = random_start(x, LinfBall(0.2), IDS[:2], 0, "test")
    found = moved(lambda z: z.flatten(1) * d, x, LinfBall(0.2), start, 20, bounds=None)
    assert found.numpy() == pytest.approx(np.full(2, 0.2 * float(d.norm())), rel=1e-5)


def test_the_bounds_of_pixels_hold_a_move_back() -> None:
    """At a white image the identity can only be moved down; from 1 by at most eps, and not at all upwards."""
    x = torch.ones(1, 1, 1, 1)
    up = torch.tensor([[[[1.4]]]])
    assert float(moved(lambda z: z.flatten(1), x, L2Ball(0.5), up, 5)) == 0.0
    assert float(moved(lambda z: z.flatten(1), x, L2Ball(0.5), x - 0.1, 5)) == pytest.approx(0.5)
    assert float(moved(lambda z: z.flatten(1), x, L2Ball(0.5), up, 5, bounds=None)) == pytest.approx(0.5)


def test_at_the_image_itself_there_is_no_gradient_so_a_start_is_needed() -> None:
    w, x = linear(), torch.full((1, 1, 3, 3), 0.5)
    assert float(moved(lambda z: z.flatten(1) @ w.T, x, L2Ball(0.3), x, 20)) == 0.0


def test_a_layer_that_is_scaled_moves_and_parts_in_proportion() -> None:
    """So R(f) does not depend on the scale of a layer."""
    w, x = linear(), torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(2))
    once, thrice = (
        [moved(f, x, L2Ball(0.2), begin(x, 0.2), 10), apart(f, x, x.roll(1, 0))]
        for f in (lambda z: z.flatten(1) @ w.T, lambda z: 3 * z.flatten(1) @ w.T)
    )
    assert torch.allclose(3 * once[0], thrice[0], rtol=1e-4)
    assert torch.allclose(3 * once[1], thrice[1], rtol=1e-5)


def test_distances_are_of_pairs() -> None:
    one, other = torch.zeros(2, 1, 1, 2), torch.tensor([[[[3.0, 4.0]]], [[[0.0, 1.0]]]])
    assert apart(lambda z: z.flatten(1), one, other).tolist() == [5.0, 1.0]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_layers_that_can_be_read_and_moved(name: str) -> None:
    shape = (3, 32, 32) if NETWORKS[name].smallest > 11 else (3, 12, 12)
    network = build(name, shape, 10, (0.5,) * 3, (0.2,) * 3, 0).eval().requires_grad_(False)
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    found = layers(name, network)
    assert list(found) == [*LAYERS[name], LOGITS]
    # What a hook sees must still be there after the forward pass: later layers may work in place.
    copies: dict[str, Tensor] = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, label=label: copies.update({label: output.detach().clone().flatten(1)})
        )
        for label, path in LAYERS[name].items()
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    for label, features in found.items():
        out = features(x)
        assert out.shape[0] == 2
        assert out.ndim == 2
        if label != LOGITS:
            assert torch.equal(out, copies[label])
    assert torch.equal(found[LOGITS](x), network(x))
    first = next(iter(found.values()))
    far = moved(first, x, L2Ball(0.5), random_start(x, L2Ball(0.5), IDS[:2], 0, "t"), 1)
    assert (far > 0).all()
    assert not any(module._forward_hooks for module in network.modules())


def test_the_last_layer_of_an_mlp_is_what_its_head_reads() -> None:
    network = build("mlp", (1, 8, 8), 10, (0.5,), (0.25,), 0).eval()
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(layers("mlp", network)["hidden 2"](x), network.features(x))


def test_a_network_in_training_mode_is_refused() -> None:
    network = build("vgg_small", (1, 8, 8), 10, (0.5,), (0.25,), 0).train()
    with pytest.raises(ValueError, match="is in training mode"):
        layers("vgg_small", network)


def test_a_failing_forward_pass_leaves_no_hook() -> None:
    network = build("mlp", (1, 8, 8), 10, (0.5,), (0.25,), 0).eval()
    features = layers("mlp", network)["hidden 1"]
    with pytest.raises(RuntimeError):
        features(torch.rand(1, 1, 9, 9))
    assert not any(module._forward_hooks for module in network.modules() if isinstance(module, nn.Module))
