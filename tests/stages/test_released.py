"""What others released, through the stages of the laboratory: their sets, and their networks."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from raylab.data import DataError
from raylab.engine import runner
from raylab.engine.artifact import Artifact
from raylab.engine.columns import from_parquet
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.experiments.robust import RobustCell, RobustFeatures, plan
from raylab.stages import dataset
from raylab.stages.dataset import ConstructedData, DataConfig, DigitsData, KnownData, SeeFarData, open_data
from raylab.stages.images import ImageSpec
from raylab.stages.inversion import Inversion
from raylab.stages.released import CIFAR10, released_network
from raylab.stages.robustness import Robustness
from raylab.stages.weights import load_network


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


# Their networks, written after MadryLab/robustness (cifar_models/resnet.py, cifar_models/vgg.py, attacker.py).


class Block(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.depth = len(kernels)
        outputs = planes * (4 if self.depth == 3 else 1)
        strided = 2 if self.depth == 3 else 1  # which convolution halves the image
        widths = [inputs, *[planes] * (self.depth - 1), outputs]
        for k, kernel in enumerate(kernels, 1):
            step = stride if k == strided else 1
            setattr(self, f"conv{k}", nn.Conv2d(widths[k - 1], widths[k], kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{k}", nn.BatchNorm2d(widths[k]))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for k in range(1, self.depth + 1):
            out = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(out))
            out = F.relu(out) if k < self.depth else out
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, kernels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        inputs, grow = 64, 4 if len(kernels) == 3 else 1
        for number, (planes, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), 1):
            layer = []
            for index in range(count):
                layer.append(Block(inputs, planes, 2 if index == 0 and number > 1 else 1, kernels))
                inputs = planes * grow
            setattr(self, f"layer{number}", nn.Sequential(*layer))
        self.linear = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        for number in range(1, 5):
            out = getattr(self, f"layer{number}")(out)
        return self.linear(F.avg_pool2d(out, 4).flatten(1))  # type: ignore[no-any-return]


class VGG16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
            if width:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                inputs = width
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers, nn.AvgPool2d(1, 1))
        self.classifier = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]


class Normalise(nn.Module):
    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("new_mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("new_std", torch.tensor(std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x.clamp(0, 1) - self.new_mean) / self.new_std  # type: ignore[operator]


class AttackerModel(nn.Module):
    """The network twice by name, as theirs: by itself and in its attacker."""

    def __init__(self, model: nn.Module, std: tuple[float, ...] = (0.2023, 0.1994, 0.2010)) -> None:
        super().__init__()
        self.normalizer = Normalise((0.4914, 0.4822, 0.4465), std)
        self.model = model
        self.attacker = nn.ModuleDict({"normalize": self.normalizer, "model": model})

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.normalizer(x))  # type: ignore[no-any-return]


def pictures(seed: int) -> Tensor:
    """Coarse, so that networks answer them differently."""
    coarse = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, 32, mode="bilinear")


def theirs(network: str) -> AttackerModel:
    """In eval mode, with statistics and scales of BatchNorm as after training: none is that of a new network."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body: nn.Module = VGG16()
        if network == "resnet18":
            body = ResNet((3, 3), (2, 2, 2, 2))
        if network == "resnet50":
            body = ResNet((1, 3, 1), (3, 4, 6, 3))
    model = AttackerModel(body)
    norms = [module for module in body.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data = 0.5 + torch.rand(norm.num_features, generator=generator)
        norm.bias.data = torch.rand(norm.num_features, generator=generator) - 0.5
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(pictures(1))
    for norm in norms:
        norm.num_batches_tracked = torch.tensor(77)
    return model.eval()


def write(path: Path, model: nn.Module, key: str = "model", parallel: bool = True, **more: Any) -> Path:
    """As their train.py writes it, in PyTorch's format of 2019."""
    state = (nn.DataParallel(model) if parallel else model).state_dict()
    checkpoint = {key: state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "schedule": None, "epoch": 153}
    torch.save(checkpoint | more, path, _use_new_zipfile_serialization=False)
    return path


class Arguments:
    """What stands in some of the released files beside the tensors."""


@pytest.mark.parametrize(
    ("network", "key", "parallel"),
    [
        ("resnet50", "state_dict", True),
        ("resnet18", "model", True),
        ("resnet18", "model", False),
        ("vgg16", "model", True),
    ],
)
def test_a_released_network_has_the_logits_of_the_original(
    tmp_path: Path, store: Store, network: str, key: str, parallel: bool
) -> None:
    original = theirs(network)
    artifact = built(released_network(write(tmp_path / "x.pt", original, key, parallel), network), store)
    loaded = load_network(artifact, "cpu")
    x = pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), original(x), rtol=1e-4, atol=1e-4)
        assert original(x).std(dim=0).mean() > 0.1  # its answers depend on the image
    counts = [value for name, value in loaded.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counts
    assert all(count == 77 for count in counts)
    assert artifact.metrics == {"epoch": 153}


def test_it_is_normalised_by_the_constants_it_was_trained_with(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path / "x.pt", theirs("resnet18"))
    loaded = load_network(built(released_network(path, "resnet18"), store), "cpu")
    torch.testing.assert_close(loaded.normalise.std.flatten(), torch.tensor([0.2023, 0.1994, 0.2010]))
    right = ImageSpec((3, 32, 32), 10, CIFAR10.mean, (0.2470, 0.2435, 0.2616))
    with pytest.raises(
        BuildFailed, match=r"trained with std \(0\.2023, 0\.1994, 0\.201\), asked for \(0\.247, 0\.2435, 0\.2616\)"
    ):
        built(released_network(path, "resnet18", right), store)


def test_its_key_is_that_of_its_bytes_and_not_of_its_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    state = {"model": {"w": torch.ones(2)}}
    for place in ("a.pt", "elsewhere/b.pt"):
        torch.save(state, tmp_path / place, _use_new_zipfile_serialization=False)
    first = released_network(tmp_path / "a.pt")
    assert released_network(tmp_path / "elsewhere" / "b.pt").key == first.key
    assert released_network(tmp_path / "a.pt", "resnet18").key != first.key
    torch.save({"model": {"w": torch.zeros(2)}}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert released_network(tmp_path / "a.pt").key != first.key


def changed(model: AttackerModel, name: str, value: Tensor | None) -> dict[str, Tensor]:
    state = dict(model.state_dict())
    if value is None:
        del state[name]
    else:
        state[name] = value
    return state


def test_files_that_are_no_such_network_are_refused(tmp_path: Path, store: Store) -> None:
    model = theirs("resnet18")
    faults: list[tuple[Any, str]] = [
        (
            {"model": changed(model, "model.linear.bias", None)},
            r"no resnet18 of these images: it lacks head\.bias; name",
        ),
        ({"model": changed(model, "model.extra", torch.ones(1))}, r"it has body\.extra of no place"),
        ({"model": changed(model, "model.linear.weight", torch.ones(9, 512))}, r"of shape \(9, 512\), not \(10, 512\)"),
        (
            {"model": changed(model, "model.bn1.bias", torch.full((64,), float("nan")))},
            r"body\.bn1\.bias that is not f",
        ),
        ({"weights": model.state_dict()}, r"its tensors at `model` or `state_dict`, got keys \['weights'\]"),
        ({"model": {"w": 3}}, "its tensors at `model` or `state_dict`"),
        ([1], "a checkpoint is a dict, got list"),
        (
            {"model": model.state_dict(), "args": Arguments()},
            r"refused as a file of tensors: .*Arguments.*tensors\.keep",
        ),
    ]
    for number, (content, told) in enumerate(faults):
        path = tmp_path / f"{number}.pt"
        torch.save(content, path)
        with pytest.raises(BuildFailed, match=told):
            built(released_network(path, "resnet18"), store)


def test_another_architecture_is_refused(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path / "x.pt", theirs("resnet18"))
    with pytest.raises(BuildFailed, match=r"no resnet50 of these images: it lacks .* and \d+ more"):
        built(released_network(path), store)
    with pytest.raises(ValueError, match="one of resnet18, resnet50, vgg16, got 'mlp'"):
        released_network(path, "mlp")
    with pytest.raises(ValueError, match="got 'densenet121', which is another network: theirs has no BatchNorm after"):
        released_network(path, "densenet121")
    with pytest.raises(ValueError, match="got 'inception_v3', which is another network: theirs convolves 3x3"):
        released_network(path, "inception_v3")
    with pytest.raises(DataError, match="no such file; download it"):
        released_network(tmp_path / "absent.pt")


def test_a_file_without_counts_of_batches_is_read(tmp_path: Path, store: Store) -> None:
    model = theirs("resnet18")
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save({"model": state}, tmp_path / "x.pt")
    artifact = built(released_network(tmp_path / "x.pt", "resnet18"), store)
    x = pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(load_network(artifact, "cpu")(x), model(x), rtol=1e-4, atol=1e-4)
    assert artifact.metrics == {"epoch": None}


@pytest.mark.parametrize(
    "data",
    [
        {"name": "cifar10", "per_class": 1},
        {"name": "cifar10", "fraction": 0.5},
        {"name": "cifar10_lossless_subset"},
        {"name": "cifar10_1"},
    ],
    ids=str,
)
def test_a_released_network_may_be_the_robust_source_for_any_part_of_cifar10(data: dict[str, Any]) -> None:
    assert RobustFeatures(source="resnet18", released_network="cifar_l2_0_5.pt", data=data).released_network


def test_d_r_of_a_part_of_cifar10_is_made_from_a_released_network(tmp_path: Path, store: Store) -> None:
    root = write_root(tmp_path / "root")
    write(root / "cifar_l2_0_5.pt", theirs("resnet18"))
    config = RobustFeatures(
        data=KnownData(name="cifar10", root=str(root), per_class=1),
        source="resnet18",
        students=("cnn",),
        sets=("r_image",),
        seeds=(0,),
        released_network="cifar_l2_0_5.pt",
        from_image=Inversion(start="image", steps=3),
        robustness=Robustness(eps=(0.8,), rows=4),
        layers=None,
    )
    cells = plan(config)
    made = cells[RobustCell("set", 0, "r_image")]
    assert made.inputs["model"].kind == "released"
    assert cells[RobustCell("network", 0, "adversarial", "resnet18")].key == made.inputs["model"].key
    found, original = built(made, store), built(cells[RobustCell("data", 0)], store).batch()
    rows = found.batch()
    np.testing.assert_array_equal(np.bincount(rows["label"]), [1] * 10)
    np.testing.assert_array_equal(rows["id"], original["id"])
    np.testing.assert_array_equal(rows["label"], original["label"])
    assert rows["image"].dtype == np.float32
    assert (rows["image"] != original["image"] / 255).any(axis=(1, 2, 3)).all()
    assert 0 <= rows["image"].min() <= rows["image"].max() <= 1


@pytest.mark.parametrize("cut", [{"per_class": 1}, {"fraction": 0.5}])
def test_a_released_set_is_compared_with_all_of_cifar10(cut: dict[str, Any]) -> None:
    data = {"name": "cifar10", **cut}
    told = r"all of cifar10 beside released_nr, which is whole; remove per_class and fraction, or released_nr"
    with pytest.raises(ValidationError, match=told):
        RobustFeatures(sets=("r_image", "released_nr"), released_network="cifar_l2_0_5.pt", data=data)


def test_a_home_is_found_where_no_shell_has_looked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save({"model": {"w": torch.ones(2)}}, tmp_path / "x.pt")
    assert released_network("~/x.pt").key == released_network(tmp_path / "x.pt").key


# Their sets.


def write_root(root: Path) -> Path:
    cifar, released = root / "cifar-10-batches-py", root / "release_datasets" / "drand_CIFAR"
    cifar.mkdir(parents=True)
    released.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    for number, name in enumerate((*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")):
        labels = [(4 * number + row) % 10 for row in range(4)]
        (cifar / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
    images = torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for file, value in (("CIFAR_ims", images), ("CIFAR_lab", torch.arange(10))):
        torch.save([*value.split(4)], released / file, _use_new_zipfile_serialization=False)
    return root


def test_a_released_set_is_read_and_tested_on_the_very_artifact_that_ours_are(tmp_path: Path, store: Store) -> None:
    root = write_root(tmp_path / "root")
    theirs = open_data(ConstructedData(name="constructed_datasets", set="d_rand", root=str(root)), 0)
    ours = open_data(KnownData(name="cifar10", root=str(root)), 0)
    assert theirs.test.key == ours.test.key
    assert theirs.train.key != ours.train.key
    assert theirs.images == ours.images
    assert theirs.rows == {"train": 10, "test": 4}
    assert built(theirs.test, store).metrics["rows"] == 4
    found = built(theirs.train, store).batch()
    np.testing.assert_array_equal(found["label"], np.arange(10))
    assert found["image"].dtype == np.float32


def test_a_released_set_has_the_same_cut_as_its_test_set(tmp_path: Path) -> None:
    root = str(write_root(tmp_path))
    theirs = open_data(ConstructedData(name="constructed_datasets", set="d_rand", root=root, fraction=0.5), 0)
    assert theirs.test.key == open_data(KnownData(name="cifar10", root=root, fraction=0.5), 0).test.key
    assert theirs.test.key != open_data(KnownData(name="cifar10", root=root), 0).test.key


def test_the_root_is_no_part_of_the_key(tmp_path: Path) -> None:
    shutil.copytree(write_root(tmp_path / "a"), tmp_path / "b")
    there = [ConstructedData(name="constructed_datasets", set="d_rand", root=str(tmp_path / at)) for at in "ab"]
    assert open_data(there[0], 0).train.key == open_data(there[1], 0).train.key


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "constructed_datasets"}, "set"),
        ({"name": "constructed_datasets", "set": "d_other"}, "d_robust"),
        ({"name": "constructed_datasets", "set": "d_rand", "size": 32}, "size"),
        ({"name": "restricted_imagenet", "size": 4}, "greater than or equal to 8"),
        ({"name": "restricted_imagenet", "size": 224.5}, "integer"),
        ({"name": "restricted_imagenet", "mean": 0.5}, "mean"),
        ({"name": "imagenet"}, "restricted_imagenet"),
    ],
)
def test_impossible_configs_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(DataConfig).validate_python(given)


def test_large_images_are_read_and_kept_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SeeFarData(name="seefar", train_rows=50, test_rows=1)
    whole = built(open_data(data, 0).train, store)
    assert len(whole.parts) == 1
    row = 4 * 16 * 16  # bytes of an image as float32
    monkeypatch.setattr(dataset, "PART_BYTES", 7 * row)
    monkeypatch.setattr(dataset, "BLOCK_PARTS", 2)
    asked: list[int] = []
    blocks = dataset.raw.blocks

    def spied(*request: Any) -> Any:
        for block in blocks(*request):
            asked.append(len(block.ids))
            yield block

    monkeypatch.setattr(dataset.raw, "blocks", spied)
    other = Store(f"{store.root}-other")
    parted = built(open_data(data, 0).train, other)
    assert asked == [14, 14, 14, 8]
    assert [part.rows for part in parted.parts] == [7] * 7 + [1]
    assert all(from_parquet(parted.read(part.name)).num_rows == part.rows for part in parted.parts)
    assert parted.key == whole.key
    assert parted.metrics == whole.metrics
    first, second = whole.batch(), parted.batch()
    assert set(first) == set(second) == {"id", "image", "label", "shape_class", "toogit_class"}
    for column, values in first.items():
        np.testing.assert_array_equal(second[column], values)


def test_small_images_stay_in_the_parts_they_had(tmp_path: Path) -> None:
    body: Any = open_data(DigitsData(), 0).train.config
    released: Any = open_data(
        ConstructedData(name="constructed_datasets", set="d_rand", root=str(write_root(tmp_path))), 0
    ).train.config
    assert body.part_rows == released.part_rows == 5000
