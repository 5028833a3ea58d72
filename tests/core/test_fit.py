"""The training loop against torch's own, what its result may depend on, resuming, and how it must fail."""

from __future__ import annotations

import io
import pickle
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
from raylab.core.objectives import away
from raylab.core.schedules import factor

CLASSES = 3
Data = tuple[Tensor, Tensor, NDArray[np.int64]]


def examples(num: int = 90) -> Data:
    """Noise whose upper half is darker the higher the class, with ids that are no positions."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, 2, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(num) % CLASSES
    images[:, 0, :4] //= 1 + labels.view(-1, 1, 1).to(torch.uint8)
    return images, labels, 1000 + 7 * np.arange(num)[::-1].copy()


def fresh(name: str = "mlp") -> Network:
    return build(name, (2, 8, 8), CLASSES, [0.5, 0.5], [0.25, 0.25], seed=1)


def train(network: Network, data: Data | None = None, **changes: Any) -> list[Epoch]:
    images, labels, ids = data or examples()
    recipe: dict[str, Any] = {"epochs": 3, "batch_size": 16, "optimizer": "adamw", "lr": 2e-3, "seed": 4}
    return fit(network, images, labels, ids, **(recipe | changes))


def differences(a: Network, b: Network) -> list[str]:
    others = b.state_dict()
    return [key for key, tensor in a.state_dict().items() if not torch.equal(tensor, others[key])]


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_it_is_the_textbook_loop(name: str, optimizer: str) -> None:
    """Written out with torch's plain optimizers, step by step on the same batches."""
    ours, plain = fresh(name), fresh(name)
    images, labels, ids = examples()
    nesterov = optimizer == "sgd"
    records = train(
        ours,
        optimizer=optimizer,
        nesterov=nesterov,
        weight_decay=0.05,
        lr=0.01,
        augment="crop_flip",
        label_smoothing=0.1,
    )
    plain_descent: torch.optim.Optimizer
    if optimizer == "sgd":
        plain_descent = torch.optim.SGD(
            plain.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=0.05, foreach=False
        )
    else:
        plain_descent = torch.optim.AdamW(plain.parameters(), 0.01, weight_decay=0.05, foreach=False)
    plain.train()
    step = 0
    for epoch in range(3):
        order = torch.from_numpy(seeding.permutation(4, f"shuffle/{epoch}", ids))
        moves = draw("crop_flip", ids, (8, 8), seed=4, epoch=epoch)
        assert moves is not None
        loss_sum, hits = 0.0, 0
        for rows in order.split(16):  # 5 of 16 and one of 10
            x, y = move(images[rows], moves[rows]).float() / 255, labels[rows]
            plain_descent.param_groups[0]["lr"] = 0.01 * factor("one_cycle", step, 18)
            plain_descent.zero_grad()
            logits = plain(x)
            loss = F.cross_entropy(logits, y, label_smoothing=0.1)
            loss.backward()
            plain_descent.step()
            step += 1
            loss_sum += loss.item() * len(rows)
            hits += int((logits.argmax(1) == y).sum())
        assert records[epoch].epoch == epoch + 1
        assert records[epoch].loss == pytest.approx(loss_sum / 90, rel=1e-4)
        assert records[epoch].accuracy == pytest.approx(hits / 90)
    # The fused kernels round differently; a change of the recipe moves weights by about the learning rate, 1e-2.
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "cnn", "vgg_small"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("at", "precision"), [(1, None), (2, None), (1, "bfloat16")])
def test_a_resumed_training_ends_in_the_same_bits(name: str, optimizer: str, at: int, precision: Any) -> None:
    """Through a file, as torch saves it, into a network of another seed."""
    recipe: dict[str, Any] = {"optimizer": optimizer, "augment": "crop_flip", "epochs": 4, "precision": precision}
    files: dict[int, bytes] = {}

    def save(record: Epoch, state: Callable[[], State]) -> None:
        buffer = io.BytesIO()
        torch.save(state(), buffer)
        files[record.epoch] = buffer.getvalue()

    whole = fresh(name)
    records = train(whole, on_epoch=save, **recipe)
    resumed = build(name, (2, 8, 8), CLASSES, [0.5, 0.5], [0.25, 0.25], seed=99)
    state = torch.load(io.BytesIO(files[at]), weights_only=True)
    assert train(resumed, resume=state, **recipe) == records
    assert differences(whole, resumed) == []


def test_a_state_is_a_copy_that_later_steps_do_not_touch() -> None:
    states: list[State] = []
    network = fresh("vgg_small")
    train(network, on_epoch=lambda _, state: states.append(state()))
    first, last = states[0]["network"], states[-1]["network"]
    assert not torch.equal(first["head.weight"], last["head.weight"])
    assert len(states[0]["records"]) == 1
    assert torch.equal(last["head.weight"], network.head.weight)


def test_a_finished_training_resumes_to_itself_and_a_longer_one_is_refused() -> None:
    states: list[State] = []
    network, again = fresh(), fresh()
    records = train(network, on_epoch=lambda _, state: states.append(state()))
    assert train(again, resume=states[-1]) == records
    assert differences(network, again) == []
    assert not again.training
    with pytest.raises(ValueError, match="at most the 2 epochs asked for, got 3"):
        train(fresh(), resume=states[-1], epochs=2)


def test_in_bfloat16_passes_are_rounded_and_weights_losses_and_attacks_objectives_are_float32() -> None:
    rounded, exact = fresh("vgg_small"), fresh("vgg_small")
    seen: list[torch.dtype] = []

    def attack(network: Network, x: Tensor, y: Tensor, progress: float) -> Tensor:
        del progress
        seen.extend([network(x).dtype, away(network, y)(x).dtype])
        return x

    records = train(rounded, adversary=attack, precision="bfloat16")
    assert set(seen[::2]) == {torch.bfloat16}
    assert set(seen[1::2]) == {torch.float32}
    assert {t.dtype for t in rounded.parameters()} == {torch.float32}
    # Of three digits: losses of 18 steps agree to one in a hundred, and are not those of float32.
    for ours, theirs in zip(records, train(exact), strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=0.02)
        assert ours.loss != theirs.loss
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("name", ["mlp", "vgg_small"])
def test_the_order_of_rows_in_memory_does_not_change_a_bit(name: str) -> None:
    images, labels, ids = examples()
    shuffled = np.random.default_rng(0).permutation(len(ids))
    a, b = fresh(name), fresh(name)
    train(a, (images, labels, ids), augment="crop_flip")
    train(b, (images[shuffled], labels[shuffled], ids[shuffled]), augment="crop_flip")
    assert differences(a, b) == []


def test_the_seed_changes_the_training_and_the_global_random_state_does_not() -> None:
    a, b, other = fresh(), fresh(), fresh()
    torch.manual_seed(1)
    train(a)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    train(b)
    torch.manual_seed(1)
    assert differences(a, b) == []
    assert torch.equal(torch.get_rng_state(), state)  # and it draws nothing from it
    train(other, seed=5)
    assert "head.weight" in differences(a, other)


def test_every_epoch_has_an_order_of_its_own_and_sees_each_example_once() -> None:
    seen: list[int] = []

    def watch(_network: Network, x: Tensor, _y: Tensor, _progress: float) -> Tensor:
        seen.extend((x.sum(dim=(1, 2, 3), dtype=torch.float64) * 255).round().int().tolist())
        return x

    images, labels, ids = examples()
    train(fresh(), (images, labels, ids), adversary=watch, epochs=2)
    first, second = seen[:90], seen[90:]
    assert first != second
    assert sorted(first) == sorted(second) == sorted(images.sum(dim=(1, 2, 3)).tolist())


def test_uint8_and_their_decoded_floats_train_alike() -> None:
    images, labels, ids = examples()
    a, b = fresh("cnn"), fresh("cnn")
    train(a, (images, labels, ids))
    train(b, (images.float() / 255, labels, ids))
    assert differences(a, b) == []


def test_the_adversary_works_on_a_network_in_eval_mode_and_its_images_are_learned_from() -> None:
    calls: list[tuple[bool, float]] = []

    def black(network: Network, x: Tensor, y: Tensor, progress: float) -> Tensor:
        calls.append((network.training, progress))
        assert len(x) == len(y)
        return torch.zeros_like(x)

    network = fresh("vgg_small")
    records = train(network, adversary=black)
    assert [training for training, _ in calls] == [False] * 18
    assert [progress for _, progress in calls] == pytest.approx([step / 18 for step in range(18)])
    assert records[-1].accuracy < 0.5  # nothing can be told from black images: chance is 1/3 of 90, sd .05
    # BatchNorm learnt in training mode: black images all normalise to -2.
    assert int(network.state_dict()["body.0.1.num_batches_tracked"]) == 18


def test_callbacks_and_callers_get_the_network_in_eval_mode() -> None:
    network, modes = fresh("vgg_small"), []
    train(network, on_epoch=lambda _record, _state: modes.append(network.training))
    assert modes == [False] * 3
    assert not network.training


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 1e12), ("adamw", 1e30)])
def test_a_diverged_training_is_an_error_that_names_its_epoch(optimizer: str, lr: float) -> None:
    with pytest.raises(TrainingDiverged, match=r"epoch 1: .*lower the learning rate"):
        train(fresh(), optimizer=optimizer, lr=lr, schedule="constant")


def test_weights_that_the_last_step_breaks_are_a_divergence_though_every_loss_was_finite() -> None:
    """One step an epoch, and the third at an infinite rate."""
    steep: dict[str, Any] = {"batch_size": 90, "optimizer": "sgd", "lr": 0.1, "schedule": "step", "gamma": 1e50}
    with pytest.raises(TrainingDiverged, match=r"epoch 3: .* got mean loss \d") as error:
        train(fresh(), milestones=[2], **steep)
    assert pickle.loads(pickle.dumps(error.value)).args == error.value.args  # it survives the way between processes


def test_finite_epochs_before_the_divergence_were_reported() -> None:
    reported: list[int] = []

    def late(_network: Network, x: Tensor, _y: Tensor, progress: float) -> Tensor:
        return x * float("nan") if progress > 0.5 else x

    with pytest.raises(TrainingDiverged, match="epoch 2: "):
        train(fresh(), adversary=late, on_epoch=lambda record, _: reported.append(record.epoch))
    assert reported == [1]


@pytest.mark.parametrize(
    ("num", "batch_size", "sizes"),
    [(64, 16, [16] * 4), (33, 16, [16, 17]), (34, 16, [16, 16, 2]), (1, 16, [1]), (3, 1, [1, 1, 1]), (0, 4, [])],
)
def test_a_rest_of_one_joins_the_batch_before_it(num: int, batch_size: int, sizes: list[int]) -> None:
    assert batch_sizes(num, batch_size) == sizes


def test_batchnorm_survives_a_rest_of_one_and_refuses_batches_of_one() -> None:
    train(fresh("vgg_small"), examples(33))
    with pytest.raises(ValueError, match="BatchNorm needs batches of at least 2, got 1"):
        train(fresh("vgg_small"), batch_size=1)
    train(fresh("mlp"), examples(5), batch_size=1, epochs=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"optimizer": "lion"}, "'lion'; choose one of sgd, adamw"),
        ({"schedule": "poly"}, "'poly'; choose one of"),
        ({"schedule": "step"}, "milestones"),
        ({"augment": "mixup"}, "'mixup'; choose one of"),
        ({"precision": "float16"}, "precision: None or bfloat16, got 'float16'"),
    ],
)
def test_an_impossible_recipe_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(fresh(), **changes)


def test_impossible_data_are_refused() -> None:
    images, labels, ids = examples()
    for data, message in (
        ((images, labels[1:], ids), "equally many .*got 90, 89 and 90"),
        ((images[:0], labels[:0], ids[:0]), "at least one, got 0"),
        ((images.double(), labels, ids), "uint8, or float32 .*got torch.float64"),
        ((images, labels + 1, ids), r"labels must lie in \[0, 3\), got 1 to 3"),
        ((images, labels - 1, ids), r"labels must lie in \[0, 3\), got -1 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            train(fresh(), data)


def test_milestones_are_epochs() -> None:
    """After the first, a factor of zero leaves the weights where one epoch at a constant rate put them."""
    stopped, once = fresh(), fresh()
    train(stopped, schedule="step", milestones=[1], gamma=0.0, optimizer="sgd", lr=0.1)
    train(once, schedule="constant", epochs=1, optimizer="sgd", lr=0.1)
    assert differences(stopped, once) == []


def test_an_mlp_learns_digits_in_twelve_epochs() -> None:
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    labels, order = torch.tensor(digits.target), np.random.default_rng(0).permutation(1797)
    learn, test = order[:1437], order[1437:]
    network = build("mlp", (1, 8, 8), 10, [0.5], [0.25], seed=0)
    fit(network, images[learn], labels[learn], learn, epochs=12, batch_size=64, optimizer="adamw", lr=2e-3, seed=0)
    with torch.no_grad():
        accuracy = (network(images[test]).argmax(1) == labels[test]).float().mean().item()
    assert accuracy > 0.94  # 98.2 +- .3 over seeds
