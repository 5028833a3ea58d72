"""A training that ends at an accuracy: where it does, what it leaves alone, and the same bits when resumed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from raylab.core.fit import Epoch, State, Stop, Stopped, fit
from raylab.core.networks import Network, build

CLASSES, ROWS, STEPS = 3, 90, 6  # 90 examples in batches of 16
Data = tuple[Tensor, Tensor, NDArray[np.int64]]


def examples() -> Data:
    """Noise whose upper half is darker the higher the class, with ids that are no positions."""
    images = torch.randint(0, 256, (ROWS, 2, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(ROWS) % CLASSES
    images[:, 0, :4] //= 1 + labels.view(-1, 1, 1).to(torch.uint8)
    return images, labels, 1000 + 7 * np.arange(ROWS)[::-1].copy()


def fresh(name: str = "mlp") -> Network:
    return build(name, (2, 8, 8), CLASSES, [0.5, 0.5], [0.25, 0.25], seed=1)


def train(network: Network, **changes: Any) -> list[Epoch]:
    recipe: dict[str, Any] = {
        "epochs": 4, "batch_size": 16, "optimizer": "adamw", "lr": 3e-4, "seed": 4, "schedule": "constant",
    }  # fmt: skip
    return fit(network, *examples(), **(recipe | changes))


def accuracy(network: Network) -> float:
    images, labels, _ = examples()
    with torch.no_grad():
        return (network.eval()(images.float() / 255).argmax(1) == labels).float().mean().item()


def by_step(name: str, **changes: Any) -> list[tuple[float, dict[str, Tensor]]]:
    """Accuracy and weights before every step of a training that nobody stops, by an adversary that only reads them."""
    seen: list[tuple[float, dict[str, Tensor]]] = []

    def read(network: Network, x: Tensor, _y: Tensor, _progress: float) -> Tensor:
        seen.append((accuracy(network), {key: tensor.clone() for key, tensor in network.state_dict().items()}))
        return x

    train(fresh(name), adversary=read, **changes)
    return seen


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
@pytest.mark.parametrize("every", [1, 4, None])
def test_it_ends_where_it_is_first_asked_and_the_share_is_reached(name: str, every: int | None) -> None:
    lr = 3e-4 if name == "mlp" else 3e-3
    seen = by_step(name, lr=lr)
    asked = [k for k in range(1, len(seen)) if k % STEPS == 0 or (every is not None and k % STEPS % every == 0)]
    target = max(seen[k][0] for k in asked) - 1e-6
    step = next(k for k in asked if seen[k][0] >= target)
    network = fresh(name)
    records = train(network, stop=Stop(target, every), lr=lr)
    assert records[-1].stopped == Stopped(step, pytest.approx(seen[step][0], abs=1e-6), True)
    assert len(records) == -(-step // STEPS)
    for key, tensor in seen[step][1].items():
        assert torch.equal(network.state_dict()[key], tensor), key


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
def test_a_share_that_is_never_reached_changes_no_bit_and_is_said(name: str) -> None:
    plain, asked = fresh(name), fresh(name)
    before = train(plain, augment="crop_flip")
    records = train(asked, augment="crop_flip", stop=Stop(1.0, 1))
    assert all(torch.equal(tensor, asked.state_dict()[key]) for key, tensor in plain.state_dict().items())
    assert [(r.loss, r.accuracy) for r in records] == [(r.loss, r.accuracy) for r in before]
    assert records[-1].stopped == Stopped(4 * STEPS, pytest.approx(accuracy(asked)), False)
    assert all(record.stopped is None for record in before)


def test_an_epoch_cut_short_is_recorded_over_what_was_seen() -> None:
    records = train(fresh(), stop=Stop(0.01, 2))
    assert len(records) == 1
    assert records[0].stopped is not None
    assert records[0].stopped.steps == 2
    whole = train(fresh(), epochs=1)[0]
    assert records[0].loss != whole.loss
    assert records[0].accuracy * 32 == pytest.approx(round(records[0].accuracy * 32))  # of two batches of 16


def test_a_resumed_training_stops_at_the_same_step_in_the_same_bits_and_a_stopped_one_stays() -> None:
    stop, files = Stop(by_step("mlp")[2 * STEPS + 3][0], 1), list[bytes]()

    def save(_record: Epoch, state: Any) -> None:
        buffer = io.BytesIO()
        torch.save(state(), buffer)
        files.append(buffer.getvalue())

    whole = fresh()
    records = train(whole, stop=stop, on_epoch=save)
    assert len(records) > 1
    for file in files:
        state: State = torch.load(io.BytesIO(file), weights_only=True)
        resumed = build("mlp", (2, 8, 8), CLASSES, [0.5, 0.5], [0.25, 0.25], seed=99)
        assert train(resumed, stop=stop, resume=state) == records
        assert all(torch.equal(tensor, resumed.state_dict()[key]) for key, tensor in whole.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop": Stop(0.5), "schedule": "one_cycle"}, "one_cycle plans the learning rate .*; take schedule constant"),
        ({"stop": Stop(0.0)}, r"accuracy in \(0, 1\], got 0.0"),
        ({"stop": Stop(0.5, 0)}, "at least 1 step, got 0"),
    ],
)
def test_a_stop_that_means_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(fresh(), **changes)
