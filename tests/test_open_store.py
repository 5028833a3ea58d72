"""What jobs have made, read by `raylab.open_store`: data frames, tensors and networks."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch

import raylab
from raylab import cli
from raylab.api.sets import Constructed
from raylab.api.store import ReadStore
from raylab.engine.artifact import CorruptArtifact, StoreError
from raylab.engine.store import Store
from raylab.experiments.transfer import EXPERIMENT

SETTINGS = [
    "data={name: digits, per_class: 12}",
    "sources=[mlp]",
    "targets=[linear]",
    "kinds=[det]",
    "seeds=[0, 1]",
    "attack.steps=3",
    "train={epochs: 2, batch_size: 32}",
    "controls={untrained: false, random_labels: false}",
    "neighbours=50",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a job: two studies that differ in their radius."""
    folder = tmp_path_factory.mktemp("home")
    site = folder / "site.yaml"
    site.write_text(f"{{backend: inline, store: '{folder / 'store'}', tracking: none, free_gb: 0}}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYLAB_HOME", str(folder))
        for study, eps in (("weak", 0.5), ("strong", 1.0)):
            cli.run(EXPERIMENT, None, [*SETTINGS, f"study={study}", f"attack.eps={eps}", "--site", str(site)])
    return folder


@pytest.fixture
def store(folder: Path) -> ReadStore:
    return raylab.open_store(str(folder / "store"))


def test_the_store_of_this_machine_is_opened_by_no_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYLAB_HOME", str(folder))
    assert len(raylab.open_store().runs()) == 2


def test_every_run_is_listed_and_again_only_once(store: ReadStore, folder: Path) -> None:
    found = store.runs()
    assert list(found["study"]) == ["weak", "strong"]
    assert set(found["experiment"]) == {"transfer_matrix"}
    assert found["finished"].is_monotonic_increasing
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYLAB_HOME", str(folder))
        site = str(folder / "site.yaml")
        cli.run(EXPERIMENT, None, [*SETTINGS, "study=weak", "attack.eps=0.5", "--site", site])
    assert sorted(store.runs()["run"]) == sorted(found["run"])


def test_a_table_has_the_rows_of_all_runs_and_the_means_of_what_was_measured(store: ReadStore) -> None:
    both, one = store.table("transfer_matrix"), store.table("transfer_matrix", study="strong")
    assert set(both["study"]) == {"weak", "strong"}
    assert len(both) == 2 * len(one) > 0
    measured = [store.artifact(key).metrics["accuracy"] for key in store.artifacts("evaluation")["key"]]
    means = {round((first + second) / 2, 5) for first, second in product(measured, repeat=2)}
    assert {round(mean, 5) for mean in both["linear"]} <= means  # of two seeds, in six digits
    assert both["linear"].between(0, 1).all()
    leakage = store.table("transfer_matrix", name="leakage")
    assert set(leakage["run"]) == set(both["run"]) == set(store.runs()["run"])


def test_what_is_not_there_is_said_with_what_is(store: ReadStore, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"experiment 'transfer_matrx': not in the store .*; did you mean transfer_matrix"
    ):
        store.table("transfer_matrx")
    with pytest.raises(ValueError, match=r"study 'mild': .* there are strong, weak"):
        store.table("transfer_matrix", study="mild")
    with pytest.raises(ValueError, match="table 'nothing': "):
        store.table("transfer_matrix", name="nothing")
    with pytest.raises(ValueError, match="there are none"):
        raylab.open_store(str(tmp_path)).table("controls")
    with pytest.raises(ValueError, match=r"kind 'constructd': .*did you mean constructed"):
        store.artifacts("constructd")


def test_artifacts_are_found_by_the_start_of_their_key(store: ReadStore) -> None:
    found = store.artifacts()
    assert {"data", "network", "constructed", "evaluation"} <= set(found["kind"])
    assert set(store.artifacts("network")["kind"]) == {"network"}
    key = found["key"].iloc[0]
    assert store.artifact(key).key.startswith(key)
    assert store.artifact(store.artifact(key).key).key.startswith(key)
    with pytest.raises(StoreError, match="one artifact, got none"):
        store.artifact("0123456789ab")
    with pytest.raises(StoreError, match="4 to 64 hex digits"):
        store.artifact("no key")


def test_a_set_of_the_store_is_made_again_on_tensors(store: ReadStore) -> None:
    keys = [key for key in store.artifacts("constructed")["key"] if store.artifact(key).config["aim"] == "det"]
    assert keys
    for key in keys:
        made, config = store.images(key), store.artifact(key).config
        data, source = store.images(made.inputs["data"]), store.network(made.inputs["model"])
        assert data.images.dtype == torch.float32
        options = {"eps": config["attack"]["eps"], "steps": 3, "seed": config["seed"], "split": config["split"]}
        again = raylab.construct("det", source, data.images, data.labels, ids=data.ids, **options)
        assert isinstance(made, Constructed)
        assert (again.digest, again.success) == (made.digest, made.success)
        assert torch.equal(again.images, made.images)


def test_images_and_networks_are_asked_for_by_keys_of_images_and_networks(store: ReadStore) -> None:
    network, table = (store.artifacts(kind)["key"].iloc[0] for kind in ("network", "evaluation"))
    with pytest.raises(StoreError, match="a network, which holds no images"):
        store.images(network)
    with pytest.raises(StoreError, match="an evaluation, which holds no images"):
        store.images(table)
    with pytest.raises(StoreError, match="an evaluation, which is no network"):
        store.network(table)


def test_a_damaged_run_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put_json(f"{store.root}/runs/controls/0123456789ab.json", {"schema": 99})
    with pytest.raises(CorruptArtifact, match="schema 99, this raylab reads 1; remove it, and run its job again"):
        ReadStore(store).runs()
