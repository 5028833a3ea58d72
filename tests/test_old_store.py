"""A store that was written on 2026-12-01 is read by every later raylab, to the byte, or refused with the remedy.

`tests/old_store` is what this command left, and is never written again:

    jobs/transfer_matrix.py study=old "data={name: digits, per_class: 4}" "sources=[linear]" "targets=[linear]"
    "kinds=[det]" "seeds=[0]" attack.steps=2 "train={epochs: 2, batch_size: 16}" neighbours=0 robustness=null
    "controls={unperturbed: false, untrained: false, random_labels: false, robust: null, leakage: null}"
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from test_entry import refused

import raylab
from raylab.api.sets import Constructed
from raylab.api.store import ReadStore
from raylab.engine.ancestry import Ancestry, inputs
from raylab.engine.artifact import MANIFEST
from raylab.engine.sealed import seal, unseal

FOLDER = Path(__file__).parent / "old_store"
DIGESTS = "e13660c8488e32c98752ed330ac7fecefecf422e4c38baf4d27fc07fa75af026"  # of the paths and bytes of its files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "store"))


@pytest.fixture
def store(folder: Path) -> ReadStore:
    return raylab.open_store(str(folder))


def test_nobody_has_written_to_it() -> None:
    files = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in files:
        whole.update(
            f"{path.relative_to(FOLDER).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    assert (len(files), whole.hexdigest()) == (27, DIGESTS)


def test_every_artifact_is_found_and_has_the_bytes_that_were_committed(store: ReadStore) -> None:
    artifacts = Ancestry(store.store).everything()
    assert len(artifacts) == 13
    assert all(artifact.sealed for artifact in artifacts)
    assert [line for artifact in artifacts for line in artifact.damages()] == []


def test_sets_networks_and_tables_are_what_they_were(store: ReadStore) -> None:
    (run,) = store.runs().itertuples()
    assert (run.experiment, run.study, run.verdict) == ("transfer_matrix", "old", "no controls")
    assert len(store.table("transfer_matrix")) == 1
    measured = 0
    for key in store.artifacts("evaluation")["key"]:
        evaluation = store.artifact(key)
        made_from = inputs(evaluation)
        images, network = store.images(made_from["data"]), store.network(made_from["model"])
        accuracy = float((network(images.images).argmax(1) == images.labels).float().mean())
        assert accuracy == pytest.approx(evaluation.metrics["accuracy"])
        measured += 1
    assert measured == 5
    sets = [store.images(key) for key in store.artifacts("constructed")["key"]]
    assert all(isinstance(one, Constructed) and one.images.dtype == torch.float32 for one in sets)


def test_another_schema_is_refused_with_the_remedy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next((folder / "network").rglob(MANIFEST))
    made, _ = unseal(path.read_bytes())
    path.write_bytes(seal({**made, "schema": 2}))
    code, text = refused(capsys, "store", "verify", "--store", str(folder))
    assert (code, text) == (
        1,
        f"{path}: schema 2, this raylab reads 1; use another store, or the raylab that wrote it\n",
    )
    kept = next((folder / "runs").rglob("*.json"))
    read, _ = unseal(kept.read_bytes())
    kept.write_bytes(seal({**read, "schema": 2}))
    code, text = refused(capsys, "store", "ls", "--store", str(folder))
    assert (code, text.startswith(f"{kept}: schema 2, this raylab reads 1; remove it, and run its job again")) == (
        1,
        True,
    )


def test_its_format_is_one_that_other_programs_read(folder: Path) -> None:
    """JSON and Parquet with nothing of raylab: what a reader without it relies on."""
    import pyarrow.parquet as pq

    for path in folder.rglob(MANIFEST):
        made = json.loads(path.read_bytes())
        for part in made["parts"]:
            data = (path.parent / part["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            if part["rows"] is not None:
                assert pq.read_metadata(path.parent / part["path"]).num_rows == part["rows"]
