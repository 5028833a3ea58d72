"""Feature inversion: its closed form on a linear network, its starts, and what students learn from its images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raylab.core import adversary, objectives
from raylab.core.balls import L2Ball
from raylab.core.fit import fit
from raylab.core.invert import doubts, invert, start_noise, start_rows, step_sizes
from raylab.core.networks import Network, Normalise, build
from raylab.core.objectives import feature_distance
from raylab.core.pgd import descend
from raylab.core.seefar import World


def _linear(num_features: int = 3, pixels: int = 12) -> tuple[Network, Tensor]:
    """Features A x with orthonormal rows of A, so that a gradient step shortens A(z - x) by its own length."""
    generator = torch.Generator().manual_seed(0)
    a = torch.linalg.qr(torch.randn(pixels, num_features, generator=generator, dtype=torch.float64)).Q.T
    body = nn.Sequential(nn.Flatten(), nn.Linear(pixels, num_features, bias=False)).double()
    body[1].weight = nn.Parameter(a)
    network = Network(Normalise([0.0], [1.0]), body, nn.Linear(num_features, 2).double(), False)
    return network.eval().requires_grad_(False), a


def _images(count: int, low: float = 0.4, high: float = 0.6, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, 1, 3, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 3])
def test_on_a_linear_network_it_walks_straight_through_the_row_space(steps: int) -> None:
    network, a = _linear()
    x, start = _images(6), _images(6, seed=2)
    found = invert(network, x, start, 0.005, steps, identity_relu=False)
    gap = (x - start).flatten(1) @ a.T  # A (x - start)
    direction = (gap / gap.norm(dim=1, keepdim=True)) @ a
    # 1e-8: the floor of 1e-10 under a gradient's norm of 1
    torch.testing.assert_close(found.image.flatten(1), start.flatten(1) + 0.005 * steps * direction, rtol=0, atol=1e-8)
    expected = (gap.norm(dim=1) - 0.005 * steps) / (x.flatten(1) @ a.T).norm(dim=1)
    torch.testing.assert_close(found.residual, expected, rtol=0, atol=1e-7)


def test_what_the_features_do_not_see_stays_as_it_was_at_the_start() -> None:
    network, a = _linear()
    x, start = _images(6), _images(6, seed=2)
    found = invert(network, x, start, 0.02, 200, "linear", identity_relu=False)
    assert (found.residual < 0.02).all()
    blind = torch.eye(12, dtype=torch.float64) - a.T @ a
    torch.testing.assert_close(found.image.flatten(1) @ blind, start.flatten(1) @ blind, rtol=0, atol=1e-7)


def test_every_step_is_clipped_to_the_unit_cube() -> None:
    network, _ = _linear()
    found = invert(network, _images(6, 0.0, 1.0), _images(6, 0.9, 1.0, seed=2), 1.0, 5, identity_relu=False)
    assert found.image.min() >= 0.0
    assert found.image.max() <= 1.0


@pytest.mark.parametrize("identity_relu", [True, False])
def test_the_residual_falls_with_the_steps_and_is_that_of_the_true_features(identity_relu: bool) -> None:
    network = build("mlp_bottleneck16", (1, 3, 4), 4, [0.5], [0.25], seed=0).eval().requires_grad_(False).double()
    x, start = _images(16, 0.0, 1.0), _images(16, 0.0, 1.0, seed=2)
    few, many = (invert(network, x, start, 0.1, steps, "linear", identity_relu) for steps in (3, 60))
    assert (many.residual < few.residual).all()
    assert float(many.residual.median() / few.residual.median()) < (0.1 if identity_relu else 0.5)  # .05 and .25
    reference, reached = network.features(x), network.features(many.image)
    torch.testing.assert_close(many.residual, (reached - reference).norm(dim=1) / reference.norm(dim=1))


def test_units_that_are_off_everywhere_are_switched_on_only_through_the_identity() -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.ReLU(inplace=True)).double()
    nn.init.ones_(body[1].weight)
    nn.init.constant_(body[1].bias, -6.0)  # the features of an image are its sum less 6
    network = Network(Normalise([0.0], [1.0]), body, nn.Linear(3, 2).double(), False).eval().requires_grad_(False)
    x, start = _images(4, 0.8, 0.9), _images(4, 0.1, 0.2)
    assert torch.equal(invert(network, x, start, 0.1, 50, identity_relu=False).image, start)
    assert (invert(network, x, start, 0.1, 50, "linear").residual < 0.1).all()


def test_the_last_iterate_is_kept_where_it_is_asked_for_and_the_nearest_otherwise() -> None:
    """A last step too long overshoots: the nearest features were one step before."""
    network, a = _linear()
    x, start = _images(6), _images(6, seed=2)
    gap = float(((x - start).flatten(1) @ a.T).norm(dim=1).min())
    walked = [invert(network, x, start, 0.8 * gap, steps, identity_relu=False, iterate="last") for steps in (1, 2, 3)]
    distance = torch.stack([(one.image.flatten(1) - x.flatten(1)) @ a.T for one in walked]).norm(dim=2)
    scale = (x.flatten(1) @ a.T).norm(dim=1)
    torch.testing.assert_close(torch.stack([one.residual for one in walked]), distance / scale)
    assert (walked[2].residual > walked[1].residual).any()
    nearest = invert(network, x, start, 0.8 * gap, 3, identity_relu=False)
    torch.testing.assert_close(nearest.residual, torch.stack([one.residual for one in walked]).amin(dim=0))
    with pytest.raises(ValueError, match="iterate: one of best, last, got 'first'"):
        invert(network, x, start, 0.1, 3, identity_relu=False, iterate="first")  # type: ignore[arg-type]


def test_the_objective_can_be_relative() -> None:
    network, _ = _linear()
    reference, z = network.features(_images(5)), _images(5, seed=2)
    distance = feature_distance(network.features, reference)(z)
    torch.testing.assert_close(
        feature_distance(network.features, reference, relative=True)(z), distance / reference.norm(dim=1)
    )
    assert feature_distance(network.features, 0 * reference, relative=True)(z).isfinite().all()


def test_step_sizes_stay_or_fall_to_a_tenth() -> None:
    assert step_sizes("constant", 0.1, 3) == [0.1, 0.1, 0.1]
    assert step_sizes("linear", 0.1, 3) == pytest.approx([0.1, 0.055, 0.01])
    assert step_sizes("linear", 0.1, 1) == [0.1]
    with pytest.raises(ValueError, match="unknown schedule"):
        step_sizes("square", 0.1, 3)  # type: ignore[arg-type]


def test_a_start_belongs_to_its_id_and_not_to_its_label() -> None:
    ids = np.arange(20_000)
    rows = start_rows(ids, 10, seed=1, split="train")
    assert np.array_equal(start_rows(ids[7:9], 10, seed=1, split="train"), rows[7:9])
    # independent of the id modulo 10, itself included: a share of .1, se .002
    assert abs(float((rows == ids % 10).mean()) - 0.1) < 0.01
    assert abs(float((rows == start_rows(ids, 10, seed=2, split="train")).mean()) - 0.1) < 0.01


def test_noise_is_grey_with_a_spread_of_a_twentieth() -> None:
    ids = np.arange(200)
    noise = start_noise(ids, (3, 8, 8), seed=1, split="train")
    assert noise.shape == (200, 3, 8, 8)
    assert noise.dtype == np.float32
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.001)  # 38,400 values: se .0003
    assert float(noise.std()) == pytest.approx(0.05, abs=0.001)
    assert np.array_equal(start_noise(ids[5:6], (3, 8, 8), seed=1, split="train"), noise[5:6])


def test_doubts_name_what_did_not_converge_and_what_can_only_copy() -> None:
    assert doubts(np.full(9, 0.05), 16, 64) == []
    assert "not converged: median relative residual 0.50" in doubts(np.full(9, 0.5), 16, 64)[0]
    assert "128 features, 64 pixels" in doubts(np.full(9, 0.05), 128, 64)[0]


def test_arguments_are_checked() -> None:
    network, _ = _linear()
    with pytest.raises(ValueError, match="a start for every image"):
        invert(network, _images(4), _images(3), 0.1, 1)
    with pytest.raises(ValueError, match="training mode"):
        invert(network.train(), _images(4), _images(4), 0.1, 1)


def test_students_of_inverted_images_use_what_the_inverted_network_used() -> None:
    """See-Far, world 0, n = 2000, 16 features, eps .8: follow_r .90 for D_R, .39 for D_NR, .32 for D; robust accuracy
    18.5, 0.6 and 0.8 %."""
    world = World(0)
    train, test, conflict = world.sample("train", 2000), world.sample("test", 1000), world.probe("conflict", 1000)
    x, y, ids = torch.from_numpy(train["image"]) / 255, torch.from_numpy(train["label"]), train["id"]

    def trained(images: Tensor, seed: int, robustly: bool = False) -> Network:
        network = build("mlp_bottleneck16", (1, 16, 16), 10, [0.5], [0.2], seed)
        attack = adversary.pgd(L2Ball(0.8)) if robustly else None
        recipe = {"epochs": 12, "batch_size": 64, "optimizer": "adamw", "lr": 2e-3, "seed": seed}
        fit(network, images, y, ids, adversary=attack, **recipe)
        return network.requires_grad_(False)

    def judged(network: Network) -> tuple[float, float]:
        """Reliance on the robust feature, and robust accuracy at .8."""
        called = network(torch.from_numpy(conflict["image"]) / 255).argmax(1).numpy()
        z, label = torch.from_numpy(test["image"]) / 255, torch.from_numpy(test["label"])
        attacked = descend(objectives.away(network, label), z, L2Ball(0.8), 0.1, 20).best
        return float((called == conflict["shape_class"]).mean()), float(
            (network(attacked).argmax(1) == label).float().mean()
        )

    start, reached = x[start_rows(ids, len(ids), seed=0, split="train")], {}
    for name, robustly in (("D_R", True), ("D_NR", False)):
        found = invert(trained(x, 0, robustly), x, start, 0.1, 100, "linear")
        assert doubts(found.residual.numpy(), 16, 256) == []
        reached[name] = judged(trained(found.image, 100))
    reached["D"] = judged(trained(x, 100))
    assert reached["D_R"][0] > 0.85
    assert reached["D_NR"][0] < 0.6
    assert reached["D_R"][1] - max(reached["D"][1], reached["D_NR"][1]) > 0.1
