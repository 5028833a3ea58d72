"""What is timed: PGD, feature inversion and a training epoch, each beside the least loop and other code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from raylab.benchmark import loops
from raylab.benchmark.clock import Timing, in_turns
from raylab.benchmark.networks import NARROW, build, contiguous, images, labels
from raylab.core import torchvision_compat
from raylab.core.balls import L2Ball
from raylab.core.compiled import Compiled, Precision, compiled
from raylab.core.fit import fit
from raylab.core.invert import invert
from raylab.core.networks import Network
from raylab.core.objectives import away
from raylab.core.pgd import descend

EPS, SIZE = 0.5, 0.1  # of Ilyas et al. 2019, appendix C.5
STEPS = 10  # a further forward pass weighs ten times as much as in the hundred steps of a construction
# Networks and images at once: so many that more of them are no faster.
BATCHES = {
    "cpu": {NARROW: 64, "resnet18": 16, "mlp": 250},
    "cuda": {NARROW: 1024, "resnet18": 512, "resnet50": 256, "mlp": 1000},
}
KINDS = ("attacks", "inversions", "epochs")
EPOCH = {"cpu": (256, 128), "cuda": (10_000, 500)}  # images, batch


@dataclass(frozen=True)
class TimingTable:
    """Times of several pieces of code that do the same work."""

    title: str
    images: int  # that one call handles
    steps: int  # that it takes with each
    timings: tuple[Timing, ...]


def tables(device: str, budget: float, kinds: Sequence[str] = KINDS) -> Iterator[TimingTable]:
    """One after the other; `budget` in seconds is that of all of them, less what their fewest turns take."""
    batches = BATCHES[device]
    epochs = [name for name in batches if name != "mlp"]
    of_kind: dict[str, list[Callable[[float], TimingTable]]] = {
        "attacks": [partial(_attacks, device, name, count) for name, count in batches.items()],
        "inversions": [partial(_inversions, device, name, count) for name, count in batches.items() if name != "mlp"],
        "epochs": [partial(_epochs, device, name) for name in epochs[:2]],
    }
    work = [one for kind in KINDS if kind in kinds for one in of_kind[kind]]
    for one in work:
        yield one(budget / len(work))


def _attacks(device: str, name: str, count: int, budget: float) -> TimingTable:
    network, x, label = build(name, device), images(count, device), labels(count, device)
    usual = contiguous(copy.deepcopy(network))
    attack, ball = (EPS, SIZE, STEPS), L2Ball(EPS)
    pieces: dict[str, Callable[[], object]] = {
        "plain loop": partial(loops.plain, loops.cross_entropy(usual, label), x, *attack),
        "raylab, as trained": lambda: descend(away(network, label), x, ball, SIZE, STEPS),
    }
    fast = _compiled(network, x)
    for precision, one in fast.items():
        objective = away(one, label)
        pieces[f"raylab, {precision}"] = partial(descend, objective, x, ball, SIZE, STEPS)
    if device == "cuda":
        pieces["raylab, as trained, TF32"] = partial(_in_tf32, pieces["raylab, as trained"])
    theirs = copy.deepcopy(usual).requires_grad_(True)  # as their users have it, who freeze nothing
    robustness = partial(loops.robustness, loops.cross_entropy(theirs, label), x, *attack)
    pieces |= {"robustness' loop": robustness, **loops.peers(theirs, x, label, *attack)}
    if any(isinstance(layer, nn.Conv2d) for layer in network.modules()):
        pieces["bare convolutions, bfloat16"] = _convolutions(fast["folded, bfloat16"], x)
    timings = in_turns(pieces, device, budget)
    return TimingTable(f"PGD in an L2 ball, {name}, batch {count}", count, STEPS, tuple(timings))


def _compiled(network: Network, x: Tensor) -> dict[str, Compiled]:
    return {f"folded, {precision}": compiled(network, x[:4], precision) for precision in get_args(Precision)}


def _in_tf32(piece: Callable[[], object]) -> None:
    """Products of 10 bits in float32's name; no choice that raylab offers."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        piece()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def _convolutions(network: Compiled, x: Tensor) -> Callable[[], object]:
    """The network's convolutions alone, forward and gradient of their input: what no loop can be faster than."""
    seen: list[tuple[nn.Module, Tensor]] = []
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(lambda own, given: seen.append((own, given[0]))) for layer in convolutions]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    leaves = [(layer, given.detach().requires_grad_()) for layer, given in seen]
    with torch.no_grad():
        ones = [torch.ones_like(layer(given)) for layer, given in leaves]

    def run() -> None:
        for _ in range(STEPS):
            for (layer, given), one in zip(leaves, ones, strict=True):
                torch.autograd.grad(layer(given), given, one)

    return run


def _inversions(device: str, name: str, count: int, budget: float) -> TimingTable:
    network, x = build(name, device), images(count, device)
    usual, start = contiguous(copy.deepcopy(network)), images(count, device, seed=2)
    with torch.no_grad():
        reference = usual.features(x)

    def nearer(z: Tensor) -> Tensor:
        distance: Tensor = torch.linalg.vector_norm(usual.features(z) - reference, dim=1)
        return -distance

    free = (float("inf"), SIZE, STEPS)
    pieces: dict[str, Callable[[], object]] = {
        "plain loop": partial(loops.plain, nearer, x, *free, start=start),
        "raylab, as trained": partial(invert, network, x, start, SIZE, STEPS),
    }
    for precision, one in _compiled(network, x).items():
        pieces[f"raylab, {precision}"] = partial(invert, network, x, start, SIZE, STEPS, through=one)
    pieces["robustness' loop"] = partial(loops.robustness, nearer, x, *free, start=start)
    return TimingTable(
        f"feature inversion, {name}, batch {count}", count, STEPS, tuple(in_turns(pieces, device, budget))
    )


def _epochs(device: str, name: str, budget: float) -> TimingTable:
    count, batch = EPOCH[device]
    pixels = (images(count, "cpu") * 255).to(torch.uint8)
    label, network = labels(count, "cpu"), build(name, device).requires_grad_(True)
    usual, reduced, ids = contiguous(copy.deepcopy(network)), copy.deepcopy(network), np.arange(count)
    on_device = pixels.to(device), label.to(device)
    options: dict[str, Any] = {"epochs": 1, "batch_size": batch, "optimizer": "sgd", "lr": 1e-3, "seed": 0}
    pieces: dict[str, Callable[[], object]] = {
        "DataLoader loop": partial(_loop, usual, _Transformed(pixels, label), batch, device),
        "raylab": lambda: fit(network, *on_device, ids, augment="crop_flip", **options),
        "raylab, bfloat16": lambda: fit(reduced, *on_device, ids, augment="crop_flip", precision="bfloat16", **options),
    }
    timings = in_turns(pieces, device, budget)
    return TimingTable(f"a training epoch of {count:,} images, {name}, batch {batch}", count, 1, tuple(timings))


class _Transformed(Dataset[tuple[Tensor, Tensor]]):
    """Images as torchvision's datasets give them: one by one, by way of PIL."""

    def __init__(self, pixels: Tensor, label: Tensor) -> None:
        t = torchvision_compat.load().transforms
        self.transform = t.Compose(
            [t.ToPILImage(), t.RandomCrop(32, padding=4), t.RandomHorizontalFlip(), t.ToTensor()]
        )
        self.pixels, self.label = pixels, label

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.pixels[index]), self.label[index]


def _loop(network: Network, data: _Transformed, batch: int, device: str) -> None:
    """As in PyTorch's tutorials, in the process that trains."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    for x, label in DataLoader(data, batch, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x.to(device)), label.to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def speeds(table: TimingTable) -> Mapping[str, float]:
    """Images a second, at one step each, by the median."""
    return {one.name: table.images * table.steps / one.seconds for one in table.timings}
