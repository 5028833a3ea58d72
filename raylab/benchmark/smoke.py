"""One step of everything with every network, twice: it runs on this device, and gives the same bits again."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np
from torch import Tensor

from raylab.benchmark.networks import CLASSES, MEAN, SHAPE, STD, contiguous, images, labels
from raylab.core import last_relu, networks, robust
from raylab.core.architectures import NETWORKS
from raylab.core.balls import L2Ball
from raylab.core.compiled import Compiled, Precision, compiled
from raylab.core.fit import fit
from raylab.core.invert import invert
from raylab.core.networks import Network
from raylab.core.objectives import towards
from raylab.core.pgd import descend

Layout = Literal["channels_last", "contiguous"]
LAYOUTS: tuple[Layout, ...] = ("channels_last", "contiguous")
ROWS = 4
IDS = np.arange(ROWS)
BALL = L2Ball(0.5)


class Smoke(NamedTuple):
    """What became of one step of one network; empty: it ran, and gave the same bits twice."""

    network: str
    layout: Layout
    step: str
    problem: str


def smoke(device: str) -> Iterator[Smoke]:
    """Every network, in either memory format: a step of training, of attacks and inversions in every precision, and of
    an evaluation."""
    for name in NETWORKS:
        built = networks.build(name, SHAPE, CLASSES, MEAN, STD, seed=0)
        for layout in LAYOUTS:
            for step, run in _steps(name, built, layout, device).items():
                yield Smoke(name, layout, step, _problem(run))


def _problem(run: Callable[[], Tensor]) -> str:
    try:
        first, second = _digest(run()), _digest(run())
    except (RuntimeError, ValueError) as error:  # of kernels that are absent, not deterministic, or out of memory
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return "" if first == second else "other bits the second time"


def _digest(found: Tensor) -> str:
    if not found.isfinite().all():
        raise ValueError("not finite")
    return hashlib.sha256(found.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def _steps(name: str, built: Network, layout: Layout, device: str) -> dict[str, Callable[[], Tensor]]:
    x, label = images(ROWS, device), labels(ROWS, device)
    trained = _placed(built, layout, device)
    _train(trained, x, label)  # statistics of BatchNorm, with which signals neither vanish nor explode
    trained.eval().requires_grad_(False)
    relu = last_relu.survey(name, SHAPE).num_relus > 0
    found: dict[str, Callable[[], Tensor]] = {
        "train": lambda: _train(_placed(built, layout, device), x, label),
        "evaluate": partial(_evaluate, trained, x, label),
        "attack": lambda: _attack(trained, x, label),
        "invert": lambda: _invert(trained, trained, x, relu),
    }
    for precision in get_args(Precision):
        # Compiled when it is asked for, so that what fails there is told as well.
        found[f"attack, {precision}"] = lambda p=precision: _attack(compiled(trained, x, p), x, label)  # type: ignore[misc]
        found[f"invert, {precision}"] = lambda p=precision: _invert(trained, compiled(trained, x, p), x, relu)  # type: ignore[misc]
    return found


def _placed(built: Network, layout: Layout, device: str) -> Network:
    network = copy.deepcopy(built).to(device)
    return contiguous(network) if layout == "contiguous" else network


def _train(network: Network, x: Tensor, label: Tensor) -> Tensor:
    fit(network, x, label, IDS, epochs=1, batch_size=ROWS, optimizer="sgd", lr=0.01, seed=0, augment="crop_flip")
    return network(x)  # type: ignore[no-any-return]


def _attack(network: Network | Compiled, x: Tensor, label: Tensor) -> Tensor:
    return descend(towards(network, (label + 1) % CLASSES), x, BALL, 0.1, 1).last


def _invert(network: Network, through: Network | Compiled, x: Tensor, identity_relu: bool) -> Tensor:
    return invert(network, x, x.flip(0), 0.1, 1, identity_relu=identity_relu, iterate="last", through=through).image


def _evaluate(network: Network, x: Tensor, label: Tensor) -> Tensor:
    return robust.worst_case(network, x, label, IDS, robust.pgd(BALL, seed=0, steps=1)).image
