"""The one training loop: standard and adversarial, from the start and resumed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.augment import Augmentation, draw, move, noise
from raylab.core.later import F, Tensor, networks, nn, torch
from raylab.core.schedules import Schedule, factor
from raylab.core.trades import Trades, WeightPerturbation

OptimizerName = Literal["sgd", "adamw"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
Autocast = Literal["bfloat16"]

# (network in eval mode, x, y, progress in [0, 1)) -> x.  Progress lets eps grow: at full strength from the
# first step adversarial training can collapse to chance.  A state of its own would be lost on resuming.
Adversary: TypeAlias = "Callable[[networks.Network, Tensor, Tensor, float], Tensor]"

ASKED_ROWS = 500  # images that pass at once where a `Stop` asks

State = dict[str, Any]  # nothing but what torch.load(weights_only=True) takes


class TrainingDiverged(ValueError):
    """The loss or a weight is no longer finite: never a result."""


@dataclass(frozen=True)
class Stop:
    """Where a training ends early: once the network, in eval mode, is right on this share of its training images as
    they are (no augmentation, no adversary).  Asked after every epoch, and within one after every `every` steps."""

    accuracy: float  # in (0, 1]
    every: int | None = None


@dataclass(frozen=True)
class Stopped:
    """When the share was asked for last, and what it was; reached: it was enough, and the training ended there."""

    steps: int  # of the whole training
    accuracy: float
    reached: bool


@dataclass(frozen=True)
class Epoch:
    """One pass over the examples, as the learning network saw them: moved, attacked, in training mode."""

    epoch: int  # the first is 1
    loss: float  # mean over examples; where a training stopped within the epoch, over those seen by then
    accuracy: float
    stopped: Stopped | None = None  # of a training with a `Stop`


def fit(
    network: networks.Network,  # trained in place, on the device where it is; left in eval mode
    images: Tensor,  # (N, C, H, W), uint8, or float32 in [0, 1]
    labels: Tensor,  # (N,) int64
    ids: NDArray[np.int64],  # (N,)
    *,
    epochs: int,
    batch_size: int,
    optimizer: OptimizerName,
    lr: float,
    seed: int,
    momentum: float = 0.9,  # sgd only
    nesterov: bool = False,  # sgd only
    weight_decay: float = 0.0,
    schedule: Schedule = "one_cycle",
    milestones: Sequence[int] = (),  # "step" only: the epochs after which gamma multiplies the learning rate
    gamma: float = 0.1,
    augment: Augmentation = "none",
    gaussian: float | None = None,  # the largest standard deviation of noise on an image, in [0, 1]; None: no noise
    label_smoothing: float = 0.0,
    adversary: Adversary | None = None,
    trades: Trades | None = None,  # in place of an adversary, with its own loss
    awp: WeightPerturbation | None = None,  # beside either
    stop: Stop | None = None,
    precision: Autocast | None = None,  # of passes through the network, the adversary's too; None: float32
    on_epoch: Callable[[Epoch, Callable[[], State]], None] | None = None,
    resume: State | None = None,
    until: int | None = None,  # the last epoch that is run; None: all of them
) -> list[Epoch]:
    """Minimise the mean cross-entropy, or the loss of TRADES; the record of every epoch, those before `resume` too.

    Order and augmentation are keyed by (seed, epoch, id), whatever the order of the rows in memory.
    `on_epoch` gets the epoch's record and a function that copies the state: call it before returning, or not
    at all.  Resumed from that state, with the same arguments, a training ends in the same bits.
    With a `stop`, `epochs` are the most that are tried; the learning rate must not plan for them all.
    In bfloat16 convolutions and products are rounded, by autocast; weights, their gradients, BatchNorm's statistics and
    the loss are float32, as are the questions of a `stop`.
    Raises TrainingDiverged.
    """
    sizes = batch_sizes(len(ids), batch_size)
    _check(network, images, labels, ids, smallest_batch=min(sizes, default=0))
    _check_stop(stop, schedule)
    if precision not in (None, *get_args(Autocast)):
        raise ValueError(f"fit: precision: None or {', '.join(get_args(Autocast))}, got {precision!r}")
    device = next(network.parameters()).device
    images, labels = images.to(device), labels.to(device)
    descent = _optimizer(optimizer, network, lr, momentum, nesterov, weight_decay)
    records = [] if resume is None else _restore(resume, network, descent, epochs)
    network.eval()  # also where no epoch is left

    total, turns = epochs * len(sizes), [epoch * len(sizes) for epoch in milestones]
    for epoch in range(len(records), epochs if until is None else min(until, epochs)):
        if records and _ended(records[-1].stopped):
            break
        order = torch.from_numpy(seeding.permutation(seed, f"shuffle/{epoch}", ids)).to(device)
        moves = draw(augment, ids, (images.shape[2], images.shape[3]), seed=seed, epoch=epoch)
        moves = None if moves is None else moves.to(device)
        losses, hits = [], []  # left on the device: to read one is to wait for its step
        stopped: Stopped | None = None
        network.train()
        for step, rows in enumerate(torch.split(order, sizes), start=epoch * len(sizes)):
            x, y = images[rows], labels[rows]
            x = _decode(x if moves is None else move(x, moves[rows]), network)
            if gaussian is not None:
                shape = (images.shape[1], images.shape[2], images.shape[3])
                x = (x + noise(gaussian, ids[rows.cpu().numpy()], shape, seed=seed, epoch=epoch).to(x)).clamp(0.0, 1.0)
            clean, rounded = x, torch.autocast(device.type, torch.bfloat16, enabled=precision is not None)
            with rounded:
                if adversary is not None:
                    network.eval()
                    x = adversary(network, x, y, step / total)
                    network.train()
                elif trades is not None:
                    normal = seeding.normal(seed, f"trades/{epoch}", ids[rows.cpu().numpy()], x[0].numel())
                    network.eval()
                    x = trades.attack(network, x, torch.from_numpy(normal).to(x).view(x.shape), step / total)
                    network.train()
            forward = rounded(partial(_forward, network, x, clean, y, label_smoothing, trades))
            for group in descent.param_groups:
                group["lr"] = lr * factor(schedule, step, total, milestones=turns, gamma=gamma)
            with nullcontext() if awp is None or epoch < awp.after else awp.worst(network, forward):
                logits, loss = forward()
                descent.zero_grad(set_to_none=True)
                loss.backward()
                descent.step()
            losses.append(loss.detach())
            hits.append((logits.argmax(1) == y).sum())
            if stop is not None:
                stopped = _asked(stop, network, images, labels, step + 1, len(sizes))
                if _ended(stopped):
                    break
        network.eval()
        records.append(replace(_record(epoch + 1, losses, hits, sizes[: len(losses)]), stopped=stopped))
        _check_finite(records[-1], network)
        if on_epoch is not None:
            on_epoch(records[-1], lambda: _state(network, descent, records))
    return records


def _forward(
    network: networks.Network, x: Tensor, clean: Tensor, y: Tensor, label_smoothing: float, trades: Trades | None
) -> tuple[Tensor, Tensor]:
    """Logits of what the network learns from, and the loss. BatchNorm's running statistics see clean images once more
    with TRADES; in its authors' code twice."""
    if trades is None:
        logits = network(x).float()
        return logits, F.cross_entropy(logits, y, label_smoothing=label_smoothing)
    of_clean = network(clean).float()
    logits = network(x).float()
    return logits, trades.loss(of_clean, logits, y, label_smoothing)


def batch_sizes(num_examples: int, batch_size: int) -> list[int]:
    """Full batches and the rest; a rest of one joins the batch before: one example has no variance."""
    if batch_size < 1:
        raise ValueError(f"fit: batch_size must be at least 1, got {batch_size}")
    sizes = [batch_size] * (num_examples // batch_size)
    rest = num_examples % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def _asked(
    stop: Stop, network: networks.Network, images: Tensor, labels: Tensor, steps: int, epoch_steps: int
) -> Stopped | None:
    """The answer where it is time to ask; the network is left in training mode."""
    if steps % epoch_steps and (stop.every is None or steps % epoch_steps % stop.every):
        return None
    network.eval()
    with torch.no_grad():
        batches = zip(torch.split(images, ASKED_ROWS), torch.split(labels, ASKED_ROWS), strict=True)
        right = int(sum((network(_decode(x, network)).argmax(1) == y).sum() for x, y in batches))
    network.train()
    share = right / len(labels)
    return Stopped(steps, share, share >= stop.accuracy)


def _ended(stopped: Stopped | None) -> bool:
    return stopped is not None and stopped.reached


def _optimizer(
    name: OptimizerName, network: networks.Network, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    """Fused: one kernel for all parameters."""
    weights = network.parameters()
    match name:
        case "sgd":
            return torch.optim.SGD(weights, lr, momentum, 0.0, weight_decay, nesterov, fused=True)
        case "adamw":
            return torch.optim.AdamW(weights, lr, weight_decay=weight_decay, fused=True)
    raise ValueError(f"fit: unknown optimizer, got {name!r}; choose one of {', '.join(OPTIMIZERS)}")


def _decode(images: Tensor, network: networks.Network) -> Tensor:
    """float32 in [0, 1], in the network's memory format."""
    layout = torch.channels_last if network.prefers_channels_last else torch.contiguous_format
    x = images.to(torch.float32, memory_format=layout)
    return x / 255 if images.dtype == torch.uint8 else x


def _record(epoch: int, losses: list[Tensor], hits: list[Tensor], sizes: list[int]) -> Epoch:
    num_examples = sum(sizes)
    loss = torch.stack(losses).cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
    return Epoch(epoch, loss.item() / num_examples, torch.stack(hits).sum().item() / num_examples)


def _state(network: networks.Network, descent: torch.optim.Optimizer, records: list[Epoch]) -> State:
    state: State = {"network": network.state_dict(), "optimizer": descent.state_dict()}
    state["records"] = [asdict(record) for record in records]
    return copy.deepcopy(state)  # the next step writes into the live tensors


def _restore(state: State, network: networks.Network, descent: torch.optim.Optimizer, epochs: int) -> list[Epoch]:
    records = [_epoch(record) for record in state["records"]]
    if len(records) > epochs:
        raise ValueError(f"fit: resume: at most the {epochs} epochs asked for, got {len(records)}")
    network.load_state_dict(state["network"])
    descent.load_state_dict(state["optimizer"])
    return records


def _epoch(record: Mapping[str, Any]) -> Epoch:
    stopped = record.get("stopped")
    return Epoch(**{**record, "stopped": None if stopped is None else Stopped(**stopped)})


def _check_finite(record: Epoch, network: networks.Network) -> None:
    """The weights too: the step after the last loss may be the one that breaks them."""
    finite = [tensor.isfinite().all() for tensor in network.state_dict().values()]
    if not math.isfinite(record.loss) or not torch.stack(finite).all():
        raise TrainingDiverged(
            f"fit: epoch {record.epoch}: loss and weights must stay finite, got mean loss {record.loss}; "
            "lower the learning rate"
        )


def _check_stop(stop: Stop | None, schedule: Schedule) -> None:
    if stop is None:
        return
    if not 0.0 < stop.accuracy <= 1.0:
        raise ValueError(f"fit: stop: an accuracy in (0, 1], got {stop.accuracy}")
    if stop.every is not None and stop.every < 1:
        raise ValueError(f"fit: stop: ask after at least 1 step, got {stop.every}")
    if schedule not in ("constant", "step"):
        raise ValueError(
            f"fit: stop: {schedule} plans the learning rate for all epochs, which a training that stops does not have; "
            "take schedule constant"
        )


def _check(
    network: networks.Network, images: Tensor, labels: Tensor, ids: NDArray[np.int64], *, smallest_batch: int
) -> None:
    if not 0 < len(ids) == len(images) == len(labels):
        got = f"{len(images)}, {len(labels)} and {len(ids)}"
        raise ValueError(f"fit: images, labels and ids must be equally many and at least one, got {got}")
    if images.dtype not in (torch.uint8, torch.float32):
        raise ValueError(f"fit: images must be uint8, or float32 in [0, 1], got {images.dtype}; convert them")
    low, high, num_classes = int(labels.min()), int(labels.max()), network.num_classes
    if low < 0 or high >= num_classes:
        raise ValueError(f"fit: labels must lie in [0, {num_classes}), got {low} to {high}; build it for all classes")
    if smallest_batch < 2 and any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules()):
        raise ValueError(f"fit: BatchNorm needs batches of at least 2, got {smallest_batch}; enlarge it")
