"""`import raylab`: the laboratory on tensors says what the stages say, and leaves a network as it found it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import toy
from scipy.stats import binomtest
from torch import Tensor, nn

import raylab
from raylab.core.networks import Network
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.label import Label
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.heat_map import HeatMap, heat_map
from raylab.stages.images import to_tensor
from raylab.stages.inversion import Inversion, invert
from raylab.stages.own_network import OwnNetwork
from raylab.stages.recipe import Recipe
from raylab.stages.robustness import Ensemble, Robustness, robustness
from raylab.stages.training import train
from raylab.stages.weights import load_network

COMPUTE = Compute(batch_rows=32, shard_rows=64)  # 120 images: two shards, a last batch that is not full
ROWS = {"batch_rows": 32, "shard_rows": 64}
DATA = open_data(DigitsData(per_class=12), 0)
SOURCE = train("cnn", Recipe(epochs=3), DATA.train, DATA.images, 1, rows=120, name="source")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


@pytest.fixture(scope="module")
def network(store: Store) -> Network:
    return load_network(built(SOURCE, store), "cpu")


@pytest.fixture(scope="module")
def digits(store: Store) -> dict[str, Tensor]:
    rows = built(DATA.train, store).batch()
    return {
        "images": to_tensor(rows["image"], "cpu"),
        "labels": torch.tensor(rows["label"]),
        "ids": torch.tensor(rows["id"]),
    }


def small() -> nn.Sequential:
    """No network of raylab's, with weights that are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))


def random_images(count: int = 12) -> tuple[Tensor, Tensor]:
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(count) % 10


# -- the front door


def test_importing_costs_nothing_until_something_is_used() -> None:
    heavy = "torch", "numpy", "pyarrow", "pydantic", "ray", "mlflow", "pandas"
    code = f"import raylab, sys; print([name for name in {heavy} if name in sys.modules], raylab.construct.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[] construct\n"


def test_every_public_name_is_there_and_listed() -> None:
    for name in raylab.__all__:
        assert getattr(raylab, name).__doc__, name
    assert set(raylab.__all__) <= set(dir(raylab))
    with pytest.raises(AttributeError, match=r"no attribute 'constrict'; it has .*construct"):
        raylab.constrict  # type: ignore[attr-defined]  # noqa: B018


# -- inside a stage and outside


@pytest.mark.parametrize("aim", ["det", "rand", "untargeted"])
def test_a_set_made_on_tensors_has_the_digest_of_the_stage(
    aim: Any, store: Store, network: Network, digits: dict[str, Tensor]
) -> None:
    attack = Attack(eps=0.5, steps=4, step_size=0.2)
    stage = construct(aim, attack, DATA.train, SOURCE, DATA.images, 7, "train", COMPUTE, rows=120, name="x")
    inside = built(stage, store)
    outside = raylab.construct(aim, network, **digits, eps=0.5, steps=4, step_size=0.2, seed=7, **ROWS)
    assert outside.digest == inside.digest
    assert outside.metrics == {**inside.metrics, "warnings": tuple(inside.metrics["warnings"])}
    assert len(inside.parts) == 2
    rows = inside.batch()
    assert np.array_equal(outside.images.numpy(), rows["image"])
    for name, column in {
        "labels": "label",
        "source_labels": "source_label",
        "ids": "id",
        "source_predictions": "source_prediction",
    }.items():
        assert np.array_equal(getattr(outside, name).numpy(), rows[column])
    assert outside.success == inside.metrics["success"]
    if aim == "untargeted":
        found = raylab.attack(network, **digits, eps=0.5, steps=4, step_size=0.2, batch_rows=32)
        assert torch.equal(found, outside.images)


def test_a_network_of_ones_own_makes_the_same_set_as_a_source_and_as_a_module(
    store: Store, digits: dict[str, Tensor]
) -> None:
    """Its factory in a config, and the very module, which knows nothing of raylab."""
    given = OwnNetwork(factory="own_factories:convolutional")
    source = train(Label(given.label, given), Recipe(epochs=2), DATA.train, DATA.images, 1, rows=120, name="own")
    stage = construct("det", Attack(steps=4), DATA.train, source, DATA.images, 0, "train", COMPUTE, rows=120, name="x")
    inside, module = built(stage, store), load_network(built(source, store), "cpu").body
    model = raylab.Normalised(module, DATA.images.mean, DATA.images.std)
    assert raylab.construct("det", model, **digits, eps=1.0, steps=4, **ROWS).digest == inside.digest


@pytest.mark.parametrize("start", ["image", "noise"])
def test_an_inversion_on_tensors_has_the_digest_of_the_stage(
    start: Any, store: Store, network: Network, digits: dict[str, Tensor]
) -> None:
    inversion, pool = Inversion(start=start, steps=5), DATA.train if start == "image" else None
    stage = invert(inversion, DATA.train, SOURCE, pool, DATA.images, 3, "train", COMPUTE, rows=120, name="x")
    starts = "noise" if start == "noise" else digits["images"][digits["ids"].argsort()]
    options: dict[str, Any] = {"steps": 5, "schedule": "linear", "seed": 3, "starts": starts, **ROWS}
    inside, outside = built(stage, store), raylab.invert(network, **digits, **options)
    assert outside.digest == inside.digest
    assert np.median(outside.residuals) == pytest.approx(inside.metrics["residual_median"])
    assert list(outside.warnings) == list(inside.metrics["doubts"])

    class Unknown(nn.Module):
        """Nothing says where its penultimate layer is."""

        def __init__(self) -> None:
            super().__init__()
            self.inside = network

        def forward(self, x: Tensor) -> Tensor:
            return self.inside(x)  # type: ignore[no-any-return]

    assert raylab.invert(Unknown(), **digits, **options).digest == inside.digest
    own = raylab.invert(Unknown(), **digits, **options, features=network.features)
    assert own.digest == inside.digest


def test_robust_accuracy_on_tensors_is_that_of_the_stage(
    store: Store, network: Network, digits: dict[str, Tensor]
) -> None:
    config = Robustness(eps=(0.1, 0.4), pgd_steps=4, ensemble=Ensemble(steps=3, queries=20))
    stage = robustness(config, SOURCE, DATA.train, DATA.images, 2, COMPUTE, rows=120, name="x")
    inside = built(stage, store)
    outside = raylab.robust_accuracy(
        network, **digits, eps=[0.1, 0.4], pgd_steps=4, steps=3, queries=20, seed=2, batch_rows=32
    )
    assert outside.clean == inside.metrics["clean"] > 0.15
    for name in ("robust", "pgd", "ensemble", "warnings"):
        assert list(getattr(outside, name)) == list(inside.metrics[name])
    rows = inside.batch()
    assert all(np.array_equal(outside.columns[name], rows[name]) for name in rows)
    assert outside.stands.float().mean(dim=0).tolist() == pytest.approx(outside.robust)
    assert outside.robust[0] >= outside.robust[1]
    for share, (low, high) in zip(outside.robust, outside.intervals, strict=True):
        exact = binomtest(round(share * 120), 120).proportion_ci(0.95, "exact")
        assert (low, high) == pytest.approx((exact.low, exact.high))
    alone = raylab.robust_accuracy(network, **digits, eps=0.1, pgd_steps=4, ensemble=None, seed=2, batch_rows=32)
    assert alone.pgd == outside.pgd[:1] == alone.robust
    assert alone.ensemble == (None,)


def test_a_heat_map_on_tensors_is_that_of_the_stage(store: Store, network: Network, digits: dict[str, Tensor]) -> None:
    stage = heat_map(HeatMap(norm=1.0), SOURCE, DATA.train, DATA.images, 4, COMPUTE, rows=120, name="x")
    inside, outside = built(stage, store), raylab.spectrum(network, **digits, norm=1.0, seed=4, batch_rows=32)
    rows = inside.batch()
    assert outside.error.shape == (8, 8)
    for i, j, errors in zip(rows["i"], rows["j"], rows["errors"], strict=True):
        assert outside.error[i + 4, j + 4] == errors / 120
    assert outside.clean == inside.metrics["clean"][0]
    assert dict(outside.bands) == {name: inside.metrics[name][0] for name in outside.bands}


# -- what is asked for


def test_targets_and_restarts_do_what_they_say() -> None:
    model, (x, y) = small().eval(), random_images()
    options: dict[str, Any] = {"eps": 0.5, "steps": 3, "batch_rows": 5}

    def loss(z: Tensor) -> Tensor:
        with torch.no_grad():
            return nn.functional.cross_entropy(model(z), y, reduction="none")

    one, three = (raylab.attack(model, x, y, **options, restarts=count) for count in (1, 3))
    assert (loss(one) > loss(x)).all()
    assert (loss(three) >= loss(one) - 1e-6).all()
    assert (loss(three) > loss(one) + 1e-6).any()
    towards = raylab.attack(model, x, (y + 1) % 10, targets=y, **options)
    assert (loss(towards) < loss(x)).all()
    assert torch.equal(towards, raylab.construct("own", model, x, y, eps=0.5, steps=3, batch_rows=5).images)


def test_transfer_counts_what_the_definitions_say() -> None:
    class Corner(nn.Module):
        """The class is the number of the brightest pixel of the first row."""

        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, 0, :3] * 5

    def of(classes: list[int]) -> Tensor:
        images = torch.zeros(len(classes), 1, 2, 3)
        images[torch.arange(len(classes)), 0, 0, torch.tensor(classes)] = 1
        return images

    labels, source = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 2, 2])
    options: dict[str, Any] = {"images": of([0, 1, 1, 2]), "source_predictions": source, "batch_rows": 3}
    found = raylab.transfer(of([1, 1, 1, 0]), Corner(), labels, **options)
    assert {name: (rate.mean, rate.n) for name, rate in found.items()} == {
        "misclassified": (0.75, 4),
        "same_class": (0.25, 4),
        "misclassified_given_fooled": (0.5, 2),  # the first and third: right when clean, and the source errs
        "same_class_given_fooled": (0.5, 2),
    }
    targets = torch.tensor([1, 0, 0, 0])  # the second attacks nothing
    aimed = raylab.transfer(of([1, 1, 1, 0]), Corner(), labels, targets=targets)
    assert {name: (rate.mean, rate.n) for name, rate in aimed.items()} == {
        "misclassified": (2 / 3, 3),
        "hits_target": (2 / 3, 3),
    }


def test_normalised_is_the_network_of_normalised_images() -> None:
    model, (x, _) = small().eval(), random_images()
    found = raylab.Normalised(model, [0.5], [0.25])(x)
    assert torch.equal(found, model((x - 0.5) / 0.25))
    with pytest.raises(ValueError, match="divide those of pixels from 0 to 255 by 255"):
        raylab.Normalised(model, [127.5], [63.75])
    with pytest.raises(ValueError, match="one mean and one std for each channel, got 3 and 1"):
        raylab.Normalised(model, [0.5] * 3, [0.5])


# -- as it was found


class Careless(nn.Module):
    """It counts its calls in a buffer, whatever its mode, and fails at the last."""

    calls: Tensor

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.inside, self.lives = small(), lives
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > self.lives:
            raise RuntimeError("no more lives")
        return self.inside(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("lives", [1000, 3])
def test_a_network_is_left_as_it_was_found_even_when_it_fails(lives: int) -> None:
    model, (x, y) = Careless(lives), random_images()
    model.train()
    model.inside[2].eval()
    model.inside[1].weight.requires_grad_(False)
    nn.functional.cross_entropy(model.inside(x), y).backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    modes, threads = {name: module.training for name, module in model.named_modules()}, torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(2)
    with expected(RuntimeError, "no more lives", lives < 1000):
        raylab.construct("det", model, x, y, eps=0.5, steps=5)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, parameter in model.named_parameters():
        assert (grads[name] is None) == (parameter.grad is None)
        assert parameter.grad is None or torch.equal(parameter.grad, grads[name])  # type: ignore[arg-type]


@contextmanager
def expected(error: type[Exception], match: str, really: bool) -> Iterator[None]:
    if not really:
        yield
        return
    with pytest.raises(error, match=match):
        yield


def test_a_network_in_training_mode_is_attacked_in_eval_mode() -> None:
    x, y = random_images()
    one, two = (raylab.construct("det", model, x, y, eps=0.5) for model in (small().train(), small().eval()))
    assert one.digest == two.digest


# -- refused


class Says(nn.Module):
    """Something that is no batch of logits."""

    def __init__(self, what: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inside, self.what = small(), what

    def forward(self, x: Tensor) -> Any:
        return self.what(self.inside(x))


X, Y = random_images()
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bytes": ({"images": (X * 255).byte()}, r"floats in \[0, 1\], got uint8; write images.float\(\) / 255"),
    "0 to 255": ({"images": X * 255}, "divide them by 255"),
    "half": ({"images": X.half()}, r"float32 or float64, got torch.float16"),
    "normalised": ({"images": X - 0.5}, r"give the network as raylab.Normalised\(model, mean, std\)"),
    "NHWC": ({"images": X.permute(0, 2, 3, 1)}, r"images.permute\(0, 3, 1, 2\)"),
    "one image": ({"images": X[0]}, r"shape \(N, C, H, W\)"),
    "nan": ({"images": X.where(X < 0.99, torch.nan)}, r"got nan or inf in \d+ of 12 images"),
    "an array": ({"images": X.numpy()}, "torch.from_numpy"),
    "double": ({"images": X.double()}, "torch.float64; call images.float"),
    "labels too high": ({"labels": Y + 1}, "classes from 0 to 10 - 1 of a network of 10 logits, got 1 to 10"),
    "labels too low": ({"labels": Y - 1}, "got -1 to 8; count from 0"),
    "labels too few": ({"labels": Y[1:]}, r"each of 12 images, got shape \(11,\)"),
    "float labels": ({"labels": Y.float()}, r"int64, got torch.float32; call .long\(\)"),
    "one-hot labels": ({"labels": nn.functional.one_hot(Y)}, r"call .argmax\(1\)"),
    "ids twice": ({"ids": Y}, "each once, got 2 more than once"),
    "ids of another length": ({"ids": Y[1:]}, "one id for each of 12 images"),
    "probabilities": ({"model": Says(lambda logits: logits.softmax(1))}, "remove the softmax"),
    "no tensor": ({"model": Says(lambda logits: (logits,))}, "gives a tuple, not a tensor; wrap it"),
    "a map of logits": ({"model": Says(lambda logits: logits[:, :, None])}, "not logits of shape"),
    "nan logits": ({"model": Says(lambda logits: logits * torch.nan)}, "the logits of Says are not finite"),
    "statistics of the batch": (
        {"model": nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), small())},
        r"0 \(BatchNorm2d\) keeps no running statistics",
    ),
    "a function": ({"model": lambda x: x}, "an nn.Module, got function"),
    "a double network": ({"model": small().double()}, r"call images.double\(\)"),
    "a half network": ({"model": small().half()}, r"call model.float\(\)"),
    "eps": ({"eps": -1.0}, "eps: must be greater than 0, got -1"),
    "eps in levels": ({"eps": 8.0, "norm": "linf"}, "for 8 of 255 levels write 8/255"),
    "norm": ({"norm": "l0"}, "norm: no norm of that name, got 'l0'; choose from l2, linf"),
    "steps": ({"steps": 0}, "steps: must be greater than or equal to 1"),
    "batches": ({"batch_rows": 0}, "batch_rows: "),
}


@pytest.mark.parametrize("function", [raylab.attack, raylab.construct], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_field_gets_wrong_is_refused_with_a_remedy(function: Any, name: str) -> None:
    wrong, said = REFUSED[name]
    given = {"model": small(), "images": X, "labels": Y, "eps": 0.5} | wrong
    with pytest.raises(ValueError, match=said):
        function(**({"aim": "det"} if function is raylab.construct else {}), **given)


def test_what_only_one_function_can_be_asked_is_refused_too() -> None:
    model, dull = small(), nn.Sequential(small(), nn.Identity(), nn.ReLU())
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 10))
    assert len(raylab.invert(smooth, X, steps=2, identity_relu=False)) == len(X)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: raylab.construct("dat", model, X, Y, eps=1.0), "aim: one of rand, other, det, own"),  # type: ignore[arg-type]
        (lambda: raylab.construct("det", model.double(), X.double(), Y, eps=1.0), "data sets are float32"),
        (lambda: raylab.robust_accuracy(small(), X, Y, eps=[0.5, 0.25]), "eps: increasing"),
        (lambda: raylab.robust_accuracy(small(), X, Y, eps=100.0), "eps below 8, which allows every image"),
        (lambda: raylab.robust_accuracy(small(), X, Y, eps=1.0, ensemble="fab"), 'ensemble: "apgd,square"'),  # type: ignore[arg-type]
        (lambda: raylab.attack(small(), X, Y, eps=1.0, restarts=0), "restarts: a whole number, at least 1"),
        (lambda: raylab.attack(small(), X, Y, eps=1.0, targets=Y + 5), "targets: classes from 0 to 10 - 1"),
        (lambda: raylab.invert(small(), X, starts=X[:, :, 1:]), r"starts: float32 images of shape \(1, 8, 8\)"),
        (lambda: raylab.invert(small(), X, starts="zeros"), 'starts: a tensor of images, "images" or "noise"'),  # type: ignore[arg-type]
        (lambda: raylab.invert(dull, X), "a network that ends in a linear layer"),
        (lambda: raylab.invert(small(), X, features=lambda x: x.mean()), "a row for each image"),
        (lambda: raylab.invert(smooth, X), "identity_relu: .* there is none; set identity_relu=False"),
        (lambda: raylab.transfer(X, small(), Y, images=X[1:]), "images: those of source_images"),
    ]
    for call, said in cases:
        with pytest.raises(ValueError, match=said):
            call()
