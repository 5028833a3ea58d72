"""Robust accuracy where it is known exactly, example by example: linear networks, away from the edges and at them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from raylab.core import objectives, robust
from raylab.core.apgd import Found
from raylab.core.balls import Ball, BandBall, L2Ball, LinfBall
from raylab.core.compiled import Compiled, compiled
from raylab.core.networks import Network, build
from raylab.core.objectives import margin
from raylab.core.pgd import descend

CLASSES, IDS = 10, 1000 + 7 * np.arange(300)


def _linear() -> tuple[Network, Tensor, Tensor]:
    """Also the weights of the logits in the pixels, (CLASSES, 64), and what is added to them, (CLASSES,)."""
    network = build("linear", (1, 8, 8), CLASSES, [0.5], [0.25], seed=0).eval().requires_grad_(False)
    weight = 4.0 * network.head.weight  # the normalisation: (x - 1/2) / (1/4)
    return network, weight, network.head.bias - 0.5 * weight.sum(dim=1)


def _images(low: float, high: float, seed: int = 0) -> Tensor:
    return low + (high - low) * torch.rand(len(IDS), 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def _distances(x: Tensor, label: Tensor, ball: Ball) -> Tensor:
    """(N,): the largest eps that leaves the label, without edges: min over j of (z_y - z_j) / ||w_y - w_j||."""
    _, weight, bias = _linear()
    logits = x.flatten(1).double() @ weight.double().T + bias.double()
    difference = (weight[label][:, None] - weight[None]).double()  # (N, CLASSES, 64)
    size = difference.norm(dim=2) if isinstance(ball, L2Ball) else difference.abs().sum(dim=2)
    gap = logits.gather(1, label[:, None]) - logits
    return (gap / size.clamp(min=1e-12)).scatter(1, label[:, None], torch.inf).amin(dim=1)


def _least_margins(x: Tensor, label: Tensor, ball: Ball) -> Tensor:
    """(N,): the least margin in the ball and in [0, 1], over the norm of the weights that reach it.

    Linf: every pixel goes to its own end.  L2: delta(t) = clip(-t w), and by bisection the t at which ||delta|| is eps.
    """
    _, weight, bias = _linear()
    flat, weight = x.flatten(1).double()[:, None], weight.double()
    w = weight[label][:, None] - weight[None]
    if isinstance(ball, LinfBall):
        delta = (flat - ball.eps * w.sign()).clamp(0, 1) - flat
    else:
        low, high = torch.zeros(*w.shape[:2], 1, dtype=torch.float64), torch.full((*w.shape[:2], 1), 1e6).double()
        for _ in range(80):
            middle = (low + high) / 2
            inside = ((flat - middle * w).clamp(0, 1) - flat).norm(dim=2, keepdim=True) <= ball.eps
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        delta = (flat - low * w).clamp(0, 1) - flat
    gap = ((flat + delta) * w).sum(2) + (bias[label][:, None] - bias).double()
    size = w.norm(dim=2) if isinstance(ball, L2Ball) else w.abs().sum(dim=2)
    return (gap / size.clamp(min=1e-12)).scatter(1, label[:, None], torch.inf).amin(dim=1)


def _standard(ball: Ball, queries: int = 50) -> dict[str, robust.Attack]:
    return robust.standard(ball, CLASSES, seed=0, queries=queries)


@pytest.mark.parametrize("ball", [L2Ball(0.08), LinfBall(0.01)])
def test_away_from_the_edges_it_is_right_for_every_single_example(ball: Ball) -> None:
    network, x = _linear()[0], _images(0.2, 0.8)
    label = network(x).argmax(1)
    distance = _distances(x, label, ball)
    worst = robust.worst_case(network, x, label, IDS, _standard(ball))
    sure = (distance - ball.eps).abs() > 1e-4
    assert sure.float().mean() > 0.98
    assert 0.2 < float((distance > ball.eps).float().mean()) < 0.8  # else there was nothing to get wrong
    assert torch.equal((worst.margin > 0)[sure], (distance > ball.eps)[sure])


@pytest.mark.parametrize("ball", [L2Ball(0.3), LinfBall(0.05)])
def test_at_the_edges_it_is_right_for_every_single_example_too(ball: Ball) -> None:
    network, x = _linear()[0], (_images(-0.8, 1.8)).clamp(0, 1)  # most pixels at an edge
    label = network(x).argmax(1)
    least = _least_margins(x, label, ball)
    assert ((_distances(x, label, ball) < ball.eps) & (least > 0)).sum() > 10  # the edges decide for some
    worst = robust.worst_case(network, x, label, IDS, _standard(ball))
    # What an attack of 100 steps leaves of the way, in pixels: none is called broken that is not, few the other way.
    assert not ((worst.margin <= 0) & (least > 1e-6)).any()
    assert not ((worst.margin > 0) & (least < -1e-3)).any()


@pytest.mark.parametrize("ball", [L2Ball(0.15), LinfBall(0.02)])
def test_no_more_is_left_than_pgd_leaves(ball: Ball) -> None:
    network = build("mlp", (1, 8, 8), CLASSES, [0.5], [0.25], seed=0).eval().requires_grad_(False)
    network.head.weight *= 5
    x = _images(0.0, 1.0)
    label = network(x).argmax(1)
    ours = robust.worst_case(network, x, label, IDS, _standard(ball)).margin > 0
    pgd = robust.worst_case(network, x, label, IDS, robust.pgd(ball, 0, steps=100, restarts=3))
    assert 0.05 < float((pgd.margin > 0).float().mean()) < 0.95
    assert float(ours.float().mean()) <= float((pgd.margin > 0).float().mean()) + 0.01
    inside = (pgd.image - x).flatten(1)
    size = inside.norm(dim=1) if isinstance(ball, L2Ball) else inside.abs().amax(dim=1)
    assert (size <= ball.eps * (1 + 1e-5)).all()


def test_of_several_attacks_the_worst_counts_for_each_example_and_the_broken_are_dropped() -> None:
    """Attacks that move the first pixel of some examples; robustness' restarts overwrote each other's finds."""
    network, x, label = _identity, torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    x[:, 0] = torch.tensor([0.5, 0.5, 0.5, 0.0])  # the margin; the last errs when clean
    asked: list[list[int]] = []

    def lowering(margins: dict[int, float]) -> robust.Attack:
        def attack(_: object, x: Tensor, label: Tensor, ids: np.ndarray) -> Found:
            asked.append(ids.tolist())
            image = x.clone()
            image[:, 0] = torch.tensor([margins.get(i, 0.9) for i in ids.tolist()])
            return Found(image, margin(network(image), label))

        return attack

    attacks = {"a": lowering({10: -0.1}), "b": lowering({11: 0.2}), "c": lowering({11: 0.3, 12: 0.4})}
    worst = robust.worst_case(network, x, label, np.array([10, 11, 12, 13]), attacks)
    assert asked == [[10, 11, 12], [11, 12], [11, 12]]
    torch.testing.assert_close(worst.margin, torch.tensor([-0.1, 0.2, 0.4, 0.0]))
    torch.testing.assert_close(worst.image[:, 0], worst.margin)
    torch.testing.assert_close(worst.margins["c"], torch.tensor([torch.inf, 0.3, 0.4, torch.inf]))


def _identity(x: Tensor) -> Tensor:
    return x


def test_an_attacks_starts_belong_to_the_ids() -> None:
    network, x = _linear()[0], _images(0.2, 0.8)
    label, order = network(x).argmax(1), np.array([5, 2, 7, 0])
    attacks = _standard(L2Ball(0.1)) | robust.pgd(L2Ball(0.1), 0, steps=5, restarts=2)
    for name in ("apgd_ce", "apgd_t3", "square", "pgd_1"):
        whole = attacks[name](network, x, label, IDS)
        part = attacks[name](network, x[order], label[order], IDS[order])
        torch.testing.assert_close(part.margin, whole.margin[order], rtol=0, atol=1e-5)  # float32


def test_below_four_classes_the_targeted_loss_is_left_out() -> None:
    assert list(robust.standard(L2Ball(1), 3, 0)) == ["apgd_ce", "square"]
    assert [name for name in robust.standard(L2Ball(1), 5, 0) if "_t" in name] == [f"apgd_t{i}" for i in range(1, 5)]
    assert len(robust.standard(L2Ball(1), 100, 0)) == 11


@pytest.mark.parametrize("name", ["l1", "l2_low", "l2_high", "l2", "linf"])
def test_every_set_is_right_on_a_linear_network_of_two_classes(name: robust.SetName) -> None:
    """Away from the edges the margin falls by size * ||w_y - w_j|| in the dual norm: the largest, or the band's."""
    network = build("linear", (1, 8, 8), 2, [0.5], [0.25], seed=0).eval().requires_grad_(False)
    x = _images(0.35, 0.65)
    label = network(x).argmax(1)
    w = 4.0 * (network.head.weight[:1] - network.head.weight[1:]).double()
    if name.startswith("l2_"):
        w = BandBall(1e9, "low" if name == "l2_low" else "high").project(w.view(1, 1, 8, 8)).view(1, 64)
    reach = margin(network(x), label).double() / torch.linalg.vector_norm(w, {"l1": torch.inf, "linf": 1}.get(name, 2))
    size = float(reach.median()) * 1.001
    worst = robust.worst_case(network, x, label, IDS, robust.among(name, size, 0, steps=50))
    assert torch.equal(worst.margin > 0, reach > size)


def test_at_the_edges_an_l1_ball_is_filled_pixel_by_pixel() -> None:
    """The best there is: pixels by the size of their weight, each to its end, until eps is used up."""
    network, weight, _ = _linear()
    x, eps = _images(-0.8, 1.8).clamp(0, 1), 0.5
    logits = network(x)
    label = logits.argmax(1)
    w = weight[label][:, None] - weight[None]
    room = torch.where(w > 0, x.flatten(1)[:, None], 1 - x.flatten(1)[:, None])
    order = w.abs().argsort(dim=2, descending=True)
    room, gain = room.gather(2, order), w.abs().gather(2, order)
    used = torch.minimum(room, (eps - (room.cumsum(2) - room)).clamp(min=0))
    gap = logits.gather(1, label[:, None]) - logits - (used * gain).sum(2)
    least = gap.scatter(1, label[:, None], torch.inf).amin(dim=1)
    worst = robust.worst_case(network, x, label, IDS, robust.among("l1", eps, 0, steps=100))
    assert not ((worst.margin <= 0) & (least > 1e-4)).any()
    missed = (worst.margin > 0) & (least < 0)
    assert 0.2 < float((least > 0).float().mean()) < 0.8
    assert float(missed.float().mean()) < 0.05


def test_pgd_that_lets_the_broken_rest_is_pgd() -> None:
    network, x, ball = _linear()[0], _images(0.2, 0.8), L2Ball(0.08)
    label = network(x).argmax(1)
    found = robust.pgd(ball, 0, steps=20)["pgd_0"](network, x, label, IDS)
    whole = descend(objectives.away(network, label), x, ball, 2.5 * ball.eps / 20, 20).best
    stands = found.margin > 0
    assert 0.2 < float(stands.float().mean()) < 0.8
    torch.testing.assert_close(found.image[stands], whole[stands], rtol=0, atol=1e-5)
    assert torch.equal(stands, margin(network(whole), label) > 0)


def _small_network() -> tuple[Tensor, Compiled]:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return images, compiled(build("cnn", (3, 8, 8), 4, [0.5] * 3, [0.2] * 3, 0).eval(), images, "bfloat16")


def test_less_than_float32_and_training_mode_are_refused() -> None:
    network, x = _linear()[0], _images(0.2, 0.8)
    label = network(x).argmax(1)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="measured in float32"):
        robust.worst_case(network, x, label, IDS, {})
    with pytest.raises(ValueError, match="float16 images"):
        robust.worst_case(_identity, x.flatten(1).half(), label, IDS, {})
    with pytest.raises(ValueError, match="bfloat16 logits"):
        robust.worst_case(lambda z: network(z).bfloat16(), x, label, IDS, {})
    images, reduced = _small_network()
    with pytest.raises(ValueError, match=r"a network with weights in torch.bfloat16; attack the network itself"):
        robust.worst_case(reduced, images, label[: len(images)], IDS[: len(images)], {})  # its logits are in float32
    with pytest.raises(ValueError, match="training mode"):
        robust.worst_case(network.train(), x, label, IDS, {})


@pytest.mark.parametrize("ball", [L2Ball(0.25), LinfBall(0.02)])
def test_pgd_by_any_iterate_breaks_what_one_run_without_exit_breaks(ball: Ball) -> None:
    network = build("mlp", (1, 8, 8), CLASSES, [0.5], [0.25], seed=0).eval().requires_grad_(False).double()
    network.head.weight *= 5
    x, steps = _images(0.0, 1.0).double(), 20
    label, margins = network(x).argmax(1), list[Tensor]()

    def objective(z: Tensor) -> Tensor:
        logits = network(z)
        margins.append(margin(logits.detach(), label))
        return -objectives.log_odds_against(logits, label)

    descend(objective, x, ball, 2.5 * ball.eps / steps, steps)  # every image to the end
    least, first = torch.stack(margins).amin(dim=0), (torch.stack(margins) <= 0).byte().argmax(dim=0)
    asked: list[int] = []

    def counted(z: Tensor) -> Tensor:
        asked.append(len(z))
        return network(z)  # type: ignore[no-any-return]

    found = robust.pgd(ball, 0, steps, score="any_iterate")["pgd_0"](counted, x, label, IDS)
    assert torch.equal(found.margin > 0, least > 0)
    assert 0.1 < float((least > 0).double().mean()) < 0.9
    torch.testing.assert_close(found.margin[least > 0], least[least > 0], rtol=0, atol=1e-9)
    torch.testing.assert_close(margin(network(found.image), label), found.margin, rtol=0, atol=1e-9)
    # One pass a step, of those that none of the iterates before broke.
    assert asked == [int(((least > 0) | (first >= step)).sum()) for step in range(steps + 1)]


def test_pgd_by_any_iterate_breaks_what_by_the_best_it_breaks_and_starts_again_at_random() -> None:
    network, x, ball = _linear()[0], _images(0.2, 0.8), L2Ball(0.08)
    label = network(x).argmax(1)
    by_best, by_any = (
        robust.worst_case(network, x, label, IDS, robust.pgd(ball, 0, 20, restarts=2, score=score)).margin > 0
        for score in ("best_loss", "any_iterate")
    )
    assert (by_best >= by_any).all()
    assert 0.2 < float(by_any.float().mean()) < 0.8
