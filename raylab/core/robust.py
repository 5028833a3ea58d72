"""Robust accuracy one can trust: per example the worst over attacks and restarts, in the manner of AutoAttack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core import apgd, objectives, seeding, spatial
from raylab.core.apgd import Found
from raylab.core.balls import AnyBall, Ball, BandBall, L1Ball, L2Ball, LinfBall
from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier, margin, require_eval, require_full_precision
from raylab.core.pgd import descend
from raylab.core.square import square

Ids = NDArray[np.int64]
Attack = Callable[[Classifier, Tensor, Tensor, Ids], Found]  # of images (B, C, H, W) in [0, 1], labels, ids

# Sets of perturbations, each with its own size: pixels of shift, degrees of rotation, else the norm in pixel units.
SetName = Literal["l2", "linf", "l1", "l2_low", "l2_high", "shift", "rotate"]
L1_SHARES = (0.0, 0.05, 0.2)  # of the pixels that a step in an L1 ball moves: no one share is best for all

# Whether PGD broke an image: by its iterate of highest loss (MadryLab/robustness), or by any of them, as AutoAttack
# counts, where a broken image leaves at once.
PGDScore = Literal["best_loss", "any_iterate"]
PARTS = 4  # of a descent: between them the broken images are left out

CLEAN = "clean"  # the images themselves
SQUARE = "square"


class Worst(NamedTuple):
    """What the attacks made of each example."""

    image: Tensor  # (B, C, H, W): of least margin
    margin: Tensor  # (B,): of that image; the example is robust where it is above 0
    margins: dict[str, Tensor]  # of each attack, (B,), and of the clean images; inf where it had nothing left to do


def worst_case(
    network: Classifier,  # in eval mode with frozen parameters
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
    ids: Ids,  # (B,)
    attacks: Mapping[str, Attack],  # in this order
) -> Worst:
    """The least margin over the clean image and all attacks.

    An example that is broken is not handed on: robust accuracy is the same, sooner.
    """
    require_eval(network)
    with torch.no_grad():
        logits = network(x)
        require_full_precision(x, logits, network)
        least = margin(logits, label)
    image, margins = x.detach().clone(), {CLEAN: least.clone()}
    for name, attack in attacks.items():
        rows = (least > 0).nonzero()[:, 0]
        margins[name] = torch.full_like(least, torch.inf)
        if len(rows) == 0:
            continue
        found = attack(network, x[rows], label[rows], ids[rows.cpu().numpy()])
        margins[name][rows] = found.margin
        lower = found.margin < least[rows]
        image[rows[lower]], least[rows[lower]] = found.image[lower], found.margin[lower]
    return Worst(image, least, margins)


def standard(ball: Ball, num_classes: int, seed: int, steps: int = 100, queries: int = 5000) -> dict[str, Attack]:
    """AutoAttack "standard" without FAB: APGD on the cross-entropy, on the targeted DLR of the 9 likeliest classes (all
    others, where there are fewer; none below 4 classes, for which it is not defined), and Square."""
    attacks: dict[str, Attack] = {"apgd_ce": partial(_apgd_ce, ball=ball, seed=seed, steps=steps)}
    if num_classes >= 4:
        for rank in range(1, min(9, num_classes - 1) + 1):
            attacks[f"apgd_t{rank}"] = partial(_apgd_targeted, ball=ball, seed=seed, steps=steps, rank=rank)
    return attacks | {SQUARE: partial(_square, ball=ball, seed=seed, queries=queries)}


def pgd(ball: AnyBall, seed: int, steps: int, restarts: int = 1, score: PGDScore = "best_loss") -> dict[str, Attack]:
    """PGD of steps 2.5 eps / steps: from the clean image, and `restarts` - 1 times from a random point of the ball."""
    run = SCORES[score]
    return {f"pgd_{i}": partial(run, ball=ball, seed=seed, steps=steps, restart=i) for i in range(restarts)}


def among(
    name: SetName, size: float, seed: int, steps: int, restarts: int = 1, score: PGDScore = "best_loss"
) -> dict[str, Attack]:
    """Attacks on any of the sets: PGD, or all of a grid of motions."""
    if name == "shift" or name == "rotate":
        return {
            name: partial(_move, motions=spatial.shifts(round(size)) if name == "shift" else spatial.rotations(size))
        }
    if name == "l1":
        found = {share: pgd(L1Ball(size, share), seed, steps, restarts, score) for share in L1_SHARES}
        return {f"{attack}_{share}": run for share, runs in found.items() for attack, run in runs.items()}
    balls: dict[str, AnyBall] = {
        "l2": L2Ball(size),
        "linf": LinfBall(size),
        "l2_low": BandBall(size, "low"),
        "l2_high": BandBall(size, "high"),
    }
    return pgd(balls[name], seed, steps, restarts, score)


def random_start(x: Tensor, ball: Ball, ids: Ids, seed: int, purpose: str) -> Tensor:
    """x and a perturbation of norm eps."""
    return x + torch.from_numpy(ball.border(seed, purpose, ids, x.shape[1:])).to(x).view_as(x)


def _apgd_ce(network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, steps: int) -> Found:
    start = random_start(x, ball, ids, seed, "apgd/ce")
    return apgd.ascend(network, apgd.cross_entropy(label), x, label, ball, start, steps)


def _apgd_targeted(
    network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, steps: int, rank: int
) -> Found:
    with torch.no_grad():
        target = network(x).scatter(1, label[:, None], torch.inf).argsort(dim=1, descending=True)[:, rank]
    start = random_start(x, ball, ids, seed, f"apgd/t{rank}")
    return apgd.ascend(network, apgd.targeted_dlr(label, target), x, label, ball, start, steps)


def _square(network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: Ball, seed: int, queries: int) -> Found:
    return square(network, x, label, ball, ids, seed, queries)


def _move(network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, motions: Sequence[spatial.Motion]) -> Found:
    del ids
    return spatial.search(network, x, label, motions)


def _pgd(
    network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: AnyBall, seed: int, steps: int, restart: int
) -> Found:
    z, best, best_loss = _start(x, ids, ball, seed, restart), x.clone(), x.new_full((len(x),), torch.inf)
    least, rows = torch.full_like(best_loss, torch.inf), torch.arange(len(x), device=x.device)
    for done in range(0, steps, steps_at_once := max(1, -(-steps // PARTS))):
        some = min(steps_at_once, steps - done)
        ended = descend(objectives.away(network, label[rows]), x[rows], ball, 2.5 * ball.eps / steps, some, start=z)
        better = ended.best_loss < best_loss[rows]
        best[rows[better]], best_loss[rows[better]] = ended.best[better], ended.best_loss[better]
        with torch.no_grad():
            least[rows] = margin(network(best[rows]), label[rows])
        stands = least[rows] > 0
        z, rows = ended.last[stands], rows[stands]
        if len(rows) == 0:
            break
    return Found(best, least)


def _pgd_any(
    network: Classifier, x: Tensor, label: Tensor, ids: Ids, *, ball: AnyBall, seed: int, steps: int, restart: int
) -> Found:
    """The iterate of least margin; an image leaves with the first that breaks it, for nothing after it could mend it.
    The margins are those of the steps' own passes."""
    z, found, rows = _start(x, ids, ball, seed, restart), x.clone(), torch.arange(len(x), device=x.device)
    least = x.new_full((len(x),), torch.inf)

    def objective(z: Tensor) -> Tensor:
        logits = network(z)
        now = margin(logits.detach(), label[rows])
        lower = now < least[rows]
        found[rows[lower]], least[rows[lower]] = z.detach()[lower], now[lower]
        return -objectives.log_odds_against(logits, label[rows])

    for step in range(1, steps + 1):
        size, last = 2.5 * ball.eps / steps, step == steps
        z = descend(objective, x[rows], ball, size, 1, start=z, ask_last=last).last
        stands = least[rows] > 0
        z, rows = z[stands], rows[stands]
        if len(rows) == 0:
            break
    return Found(found, least)


SCORES: dict[PGDScore, Callable[..., Found]] = {"best_loss": _pgd, "any_iterate": _pgd_any}


def _start(x: Tensor, ids: Ids, ball: AnyBall, seed: int, restart: int) -> Tensor:
    if restart == 0:
        return x
    noise = seeding.uniform(seed, f"pgd/{restart}", ids, x[:1].numel() + 1)
    return x + ball.sample(torch.from_numpy(noise).to(x.device), x)
