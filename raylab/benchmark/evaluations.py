"""Robust accuracy of a network trained on CIFAR-10, timed: with and without early exit, and beside AutoAttack."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raylab.benchmark import loops
from raylab.benchmark.clock import in_turns
from raylab.benchmark.networks import NARROW, build, contiguous
from raylab.benchmark.tables import TimingTable
from raylab.core import robust
from raylab.core.balls import L2Ball
from raylab.core.fit import fit
from raylab.core.networks import Network
from raylab.core.objectives import log_odds_against, margin
from raylab.core.pgd import descend

TRAINED, EPOCHS = 20_000, 6  # images and passes: 73 % of CIFAR-10's test images, in minutes
ROWS, STEPS, RADII = 250, 20, (0.25, 0.5)
ENSEMBLE_ROWS, TURNS, ENSEMBLE_EPS = 200, 4, 0.25  # of each turn the images are others


def tables(device: str, folder: Path, budget: float) -> Iterator[TimingTable]:
    """`budget` in seconds is that of all of them; the network is trained first."""
    pixels, label = _read(folder, "train", TRAINED)
    network = build(NARROW, device).requires_grad_(True)
    fit(
        network, pixels, label, np.arange(TRAINED), epochs=EPOCHS, batch_size=128, optimizer="sgd", lr=0.1, seed=0,
        nesterov=True, weight_decay=5e-4, augment="crop_flip", precision="bfloat16",
    )  # fmt: skip
    network.requires_grad_(False)
    pixels, label = _read(folder, "test", 2 * ROWS)
    x, label = (pixels.float() / 255).to(device), label.to(device)
    with torch.no_grad():
        right = network(x).argmax(1) == label
    for eps in RADII:
        yield _early_exit(network, x[:ROWS], label[:ROWS], eps, device, budget / 4)
    if autoattack := loops.installed("pyautoattack"):
        chosen = right.nonzero()[:ENSEMBLE_ROWS, 0]
        yield _ensemble(autoattack, network, x[chosen], label[chosen], device)


def _read(folder: Path, split: str, rows: int) -> tuple[Tensor, Tensor]:
    from raylab.data.cifar import Cifar10  # which needs pyarrow for one of its two codings

    reader, ids = Cifar10(), np.arange(rows)
    pixels = torch.from_numpy(np.ascontiguousarray(reader.images(folder, split, ids)))
    return pixels, torch.from_numpy(reader.labels(folder, split).labels[:rows].astype(np.int64))


def _early_exit(network: Network, x: Tensor, label: Tensor, eps: float, device: str, budget: float) -> TimingTable:
    ball, ids, stands = L2Ball(eps), np.arange(len(x)), dict[str, Tensor]()

    def to_the_end() -> None:
        margins: list[Tensor] = []

        def objective(z: Tensor) -> Tensor:
            logits = network(z)
            margins.append(margin(logits.detach(), label))
            return -log_odds_against(logits, label)

        descend(objective, x, ball, 2.5 * eps / STEPS, STEPS)
        stands["to the end"] = torch.stack(margins).amin(dim=0) > 0

    def scored(score: robust.PGDScore) -> None:
        attacks = robust.pgd(ball, 0, STEPS, score=score)
        stands[score] = robust.worst_case(network, x, label, ids, attacks).margin > 0

    pieces: dict[str, Callable[[], object]] = {
        "any iterate, every image to the end": to_the_end,
        "raylab, any iterate, broken images leave": partial(scored, "any_iterate"),
        "raylab, the iterate of highest loss": partial(scored, "best_loss"),
    }
    timings = in_turns(pieces, device, budget)
    unlike = int((stands["to the end"] != stands["any_iterate"]).sum())
    title = (
        f"evaluation by PGD of {STEPS} steps at eps {eps:g}, {NARROW}, trained on CIFAR-10, batch {len(x)}; "
        f"{int(stands['any_iterate'].sum())} stand by any iterate, and without exit {unlike} images differ"
    )
    return TimingTable(title, len(x), STEPS, tuple(timings))


def _ensemble(autoattack: Any, network: Network, x: Tensor, label: Tensor, device: str) -> TimingTable:
    """Each turn has the next images: an attack of some images takes minutes. Theirs is the code of its authors."""
    usual = contiguous(copy.deepcopy(network))  # as its users have it
    theirs = autoattack.AutoAttack(usual, norm="L2", eps=ENSEMBLE_EPS, version="standard", seed=0, device=device)
    theirs.attacks_to_run = ["apgd-ce", "apgd-t", "square"]
    rows = len(x) // TURNS
    stands: dict[str, list[Tensor]] = {"ours": [], "theirs": []}

    def in_parts(name: str, run: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        turns = count()

        def one() -> None:
            part = slice((turn := next(turns)) * rows, (turn + 1) * rows)
            stands[name].append(run(x[part], label[part]))

        return one

    def peer(x: Tensor, label: Tensor) -> Tensor:
        found, _ = theirs.run_standard_evaluation(x, label, batch_size=len(x))
        with torch.no_grad():
            return margin(usual(found), label) > 0

    def ours(x: Tensor, label: Tensor) -> Tensor:
        attacks = robust.standard(L2Ball(ENSEMBLE_EPS), 10, seed=0)
        return robust.worst_case(network, x, label, np.arange(len(x)), attacks).margin > 0

    pieces = {"AutoAttack standard without FAB (its authors' code)": in_parts("theirs", peer)}
    pieces["raylab, ensemble"] = in_parts("ours", ours)
    timings = in_turns(pieces, device, 0.0, least=TURNS, first=True)
    one, other = (torch.cat(stands[name]) for name in ("ours", "theirs"))
    title = (
        f"APGD and Square at eps {ENSEMBLE_EPS:g}, {NARROW}, trained on CIFAR-10, {len(x)} images in {TURNS} turns; "
        f"{int(one.sum())} stand, and by AutoAttack {int((one != other).sum())} images differ"
    )
    return TimingTable(title, rows, 1, tuple(timings))
