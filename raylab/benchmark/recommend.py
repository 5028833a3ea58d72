"""The compute batch at which a network is attacked fastest here: `raylab recommend`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raylab.benchmark.clock import in_turns
from raylab.core import networks
from raylab.core.balls import L2Ball
from raylab.core.compiled import Precision, compiled
from raylab.core.objectives import away
from raylab.core.pgd import descend

BATCHES = (10, 20, 50, 100, 250, 500, 1000)  # divisors of the usual shard
ENOUGH = 0.97  # of the best speed: the smallest batch that has it needs the least memory
ROOM = 0.5  # share of the free memory that the activations of one batch may take, with their gradients


class BatchSpeed(NamedTuple):
    """The speed of one batch, over that of the first; the quartiles are of ratios within a turn."""

    rows: int
    rate: float  # images x steps a second
    speed: float
    low: float
    high: float


def measured(
    network: networks.Network,  # in eval mode with frozen parameters, on the device
    shape: Sequence[int],
    precision: Precision | None,  # None: as it was trained
    device: str,
    budget: float,  # seconds
) -> list[BatchSpeed]:
    """PGD of two steps at every batch that fits in memory, taking turns."""
    x = torch.rand(max(BATCHES), *shape, generator=torch.Generator().manual_seed(0)).to(device)
    label = (torch.arange(len(x)) % network.num_classes).to(device)
    used = network if precision is None else compiled(network, x[:4], precision)
    limit = ROOM * _free_bytes(device) / (2 * _bytes_an_image(used, x[:2]))
    fitting = [rows for rows in BATCHES if rows <= limit] or [BATCHES[0]]

    def attack(rows: int) -> None:
        descend(away(used, label[:rows]), x[:rows], L2Ball(0.5), 0.1, 2)

    timings = in_turns({str(rows): partial(attack, rows) for rows in fitting}, device, budget)
    scales = [rows / fitting[0] for rows in fitting]  # a ratio of seconds, of unlike many images
    return [
        BatchSpeed(rows, 2 * rows / one.seconds, *(scale * ratio for ratio in (one.speed, one.low, one.high)))
        for rows, scale, one in zip(fitting, scales, timings, strict=True)
    ]


def best(found: Sequence[BatchSpeed]) -> BatchSpeed:
    """The smallest batch that is as fast as any, but for ENOUGH."""
    most = max(one.speed for one in found)
    return next(one for one in found if one.speed >= ENOUGH * most)


def lines(found: Sequence[BatchSpeed]) -> Iterator[str]:
    """The table and the setting, as a config takes it."""
    yield f"{'batch_rows':>10}  {'images x steps a second':>23}  {'speed':>5}  quartiles"
    for one in found:
        yield f"{one.rows:>10}  {one.rate:>23,.0f}  {one.speed:>5.2f}  {one.low:.2f} to {one.high:.2f}"
    yield (
        f"compute.batch_rows={best(found).rows}: the smallest batch within {1 - ENOUGH:.0%} of the fastest. It is part "
        "of a data set's identity: choose it before the first set."
    )


def _bytes_an_image(network: nn.Module, x: Tensor) -> float:
    """What a forward pass keeps for the backward one."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes if tensor.shape[:1] == x.shape[:1] else 0)  # not the weights
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        network(x.clone().requires_grad_())
    return max(x.nbytes, sum(sizes)) / len(x)


def _free_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not every system tells
        return 2**32
