"""What is read from a store is what was committed: every change is found before anything is made of it."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
from test_cli import ended

from raylab.engine import runner
from raylab.engine import store as stores
from raylab.engine.artifact import MANIFEST, Artifact, CorruptArtifact, StoreError
from raylab.engine.runner import InlineBackend
from raylab.engine.sealed import CHECKSUM, seal
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter, Worker

# As raylab wrote it before there were checksums, to the byte: of toy.numbers(5), with one part, b"weights".
OF_BEFORE = """{
 "schema": 1,
 "kind": "numbers",
 "version": 1,
 "name": "numbers",
 "key": "6acd6f068a9904887ced9d8485a3ce477dd323710a64604e4dc9305d6fc4a061",
 "config": {
  "count": 5,
  "name": "numbers"
 },
 "inputs": {},
 "parts": [
  {
   "path": "attempt-1/network.pt",
   "rows": null,
   "bytes": 7,
   "sha256": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
   "device": ""
  }
 ],
 "metrics": {
  "accuracy": 0.5,
  "n": 5
 },
 "digest": "993917f384a0c65abdfda3baa78ac6cf8b7716601012247951066407cb75ee4a",
 "provenance": {
  "commit": "0000000000000000000000000000000000000000",
  "dirty": false,
  "argv": "job",
  "packages": {
   "torch": "2"
  },
  "machine": "m",
  "device": "cpu",
  "seconds": 1.5,
  "finished": "2026-11-21T00:00:00+00:00"
 }
}"""
STAGE = toy.numbers(5)
Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "a metric": lambda m: m["metrics"].update(n=0.987),
    "a name": lambda m: m.update(name="another"),
    "the provenance": lambda m: m["provenance"].update(commit="0" * 40),
    "the digest": lambda m: m.update(digest="0" * 64),
    "the sha256 of a part": lambda m: m["parts"][0].update(sha256="0" * 64),
    "the rows of a part": lambda m: m["parts"][0].update(rows=4),
    "the bytes of a part": lambda m: m["parts"][0].update(bytes=4),
    "a part, which is gone": lambda m: m["parts"].clear(),
    "the version": lambda m: m.update(version=2),
    "the config": lambda m: m.update(config={"count": 6, "name": "numbers"}),
    "the type of the config": lambda m: m.update(config=True),
    "an input": lambda m: m["inputs"].update(data="0" * 64),
    "a field, which is gone": lambda m: m.pop("metrics"),
    "the type of a field": lambda m: m.update(metrics=[]),
    "the type of a number": lambda m: m.update(version=True),
    "a field of a part, which is gone": lambda m: m["parts"][0].pop("bytes"),
    "the type of a part": lambda m: m["parts"].insert(0, "part-00000.parquet"),
    "a number that JSON does not have": lambda m: m["metrics"].update(n=float("nan")),
}
# Of these nothing else tells in a manifest that has no checksum.
ONLY_BY_CHECKSUM = {"a metric", "a name", "the provenance", "a number that JSON does not have"}
WHEN_READ = {"the rows of a part", "the bytes of a part"}  # found against the part itself


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def artifact(store: Store) -> Artifact:
    return Worker(store, "cpu", {"commit": "1" * 40}).run_task(STAGE, NullReporter())


def manifest_of(artifact: Artifact) -> Path:
    return Path(artifact.folder) / MANIFEST


def change(artifact: Artifact, changed: Change, kept: str) -> None:
    """Written again with the checksum that was there, or as an older raylab would have written it."""
    manifest = json.loads(manifest_of(artifact).read_text())
    changed(manifest)
    if kept == "without a checksum":
        del manifest[CHECKSUM]
    manifest_of(artifact).write_text(json.dumps(manifest, indent=1))


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_manifest_is_an_error_that_names_path_rule_and_remedy(
    what: str, store: Store, artifact: Artifact
) -> None:
    change(artifact, CHANGES[what], "with its checksum")
    with pytest.raises(CorruptArtifact) as raised:
        store.find(STAGE)
    assert re.fullmatch(
        rf"{manifest_of(artifact)}: not a manifest \([^\n]+\); remove it to build again", str(raised.value)
    )


@pytest.mark.parametrize("what", sorted(CHANGES.keys() - ONLY_BY_CHECKSUM - WHEN_READ))
def test_a_change_shows_without_a_checksum_where_anything_else_tells_of_it(
    what: str, store: Store, artifact: Artifact
) -> None:
    change(artifact, CHANGES[what], "without a checksum")
    with pytest.raises(CorruptArtifact, match="not a manifest"):
        store.find(STAGE)


@pytest.mark.parametrize("what", sorted(WHEN_READ))
@pytest.mark.parametrize("use", [lambda a: a.rows, lambda a: a.batch()], ids=["counted", "read"])
def test_rows_and_bytes_of_a_manifest_without_a_checksum_are_held_against_the_parts_before_they_are_used(
    what: str, use: Callable[[Artifact], object], store: Store, artifact: Artifact
) -> None:
    change(artifact, CHANGES[what], "without a checksum")
    found = store.require(STAGE)
    if what == "the bytes of a part":
        with pytest.raises(CorruptArtifact, match=r"does not have the bytes.*remove .*MANIFEST"):
            found.batch()
        return
    with pytest.raises(CorruptArtifact, match=r"has 5 rows, its manifest says 4; remove .*MANIFEST"):
        use(found)


def test_a_job_shows_nothing_of_a_manifest_that_was_changed_and_builds_it_again_once_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yaml").write_text("backend: inline\ntracking: none\n")
    monkeypatch.setenv("RAYLAB_SITE", str(tmp_path / "site.yaml"))
    assert ended() == 0
    honest = capsys.readouterr().out
    (path,) = (tmp_path / "home" / "store").rglob(MANIFEST)
    path.write_text(path.read_text().replace('"rows": 3', '"rows": 2'))
    for arguments in ([], ["--dry-run"]):
        assert ended(*arguments) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert re.fullmatch(rf"{path}: not a manifest \(.*\); remove it to build again", said.err.splitlines()[-1])
    path.unlink()
    assert ended() == 0
    assert capsys.readouterr().out == honest


def test_a_set_is_not_mapped_by_a_count_of_rows_that_is_not_its_own(store: Store, artifact: Artifact) -> None:
    change(artifact, lambda m: m["parts"][0].update(rows=3), "without a checksum")
    with pytest.raises(CorruptArtifact, match="has 5 rows, its manifest says 3"):
        runner.build({"x": toy.squares(STAGE)}, store, InlineBackend(), toy.Recorder())


def test_a_checksum_whose_name_is_damaged_does_not_make_a_manifest_an_old_one(store: Store, artifact: Artifact) -> None:
    text = manifest_of(artifact).read_text()
    manifest_of(artifact).write_text(text.replace(f'"{CHECKSUM}"', '"checksun"').replace('"n": 5', '"n": 6'))
    with pytest.raises(CorruptArtifact, match="checksun: no field of a manifest without a checksum"):
        store.find(STAGE)


def test_no_byte_of_a_manifest_can_change_unseen(store: Store, artifact: Artifact) -> None:
    whole = manifest_of(artifact).read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] = ord("7") if damaged[at] != ord("7") else ord("3")
        manifest_of(artifact).write_bytes(bytes(damaged))
        with pytest.raises(CorruptArtifact):
            store.find(STAGE)


@pytest.mark.parametrize("length", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_manifest_that_was_cut_off_is_refused(length: float, store: Store, artifact: Artifact) -> None:
    whole = manifest_of(artifact).read_bytes()
    manifest_of(artifact).write_bytes(whole[: int(len(whole) * length)])
    with pytest.raises(CorruptArtifact, match="no JSON"):
        store.find(STAGE)


def test_lists_in_lists_without_end_are_refused(store: Store, artifact: Artifact) -> None:
    manifest_of(artifact).write_text("[" * 100_000)
    with pytest.raises(CorruptArtifact, match="not a manifest"):
        store.find(STAGE)


def test_a_manifest_of_another_schema_is_not_called_damaged(store: Store, artifact: Artifact) -> None:
    manifest = {**json.loads(manifest_of(artifact).read_text()), "schema": 2}
    del manifest[CHECKSUM]
    manifest_of(artifact).write_bytes(seal(manifest))
    with pytest.raises(CorruptArtifact, match=r"schema 2, this raylab reads 1; use another store"):
        store.find(STAGE)


# -- stores of an older raylab


def test_a_manifest_from_before_checksums_is_read_as_ever(store: Store) -> None:
    folder = Path(store.folder(STAGE))
    (folder / "attempt-1").mkdir(parents=True)
    (folder / "attempt-1" / "network.pt").write_bytes(b"weights")
    (folder / MANIFEST).write_text(OF_BEFORE)
    found = store.require(STAGE)
    assert (found.read("network.pt"), found.metrics) == (b"weights", {"accuracy": 0.5, "n": 5})
    assert found.digest == json.loads(OF_BEFORE)["digest"]
    assert (folder / MANIFEST).read_text() == OF_BEFORE  # immutable


def test_a_whole_store_from_before_checksums_is_built_upon(store: Store) -> None:
    data, squares = toy.numbers(30), toy.squares(toy.numbers(30))
    runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())
    before = dict(store.require(squares).manifest)
    for stage in (data, squares):
        path = manifest_of(store.require(stage))
        manifest = json.loads(path.read_text())
        del manifest[CHECKSUM]
        path.write_text(json.dumps(manifest, indent=1))
    recorder = toy.Recorder()
    built = runner.build({"y": toy.squares(squares, name="again")}, store, InlineBackend(), recorder)
    assert recorder.built_labels == [built["y"].label]
    assert dict(store.require(squares).manifest) == before
    assert store.require(squares).rows == 30


def test_a_manifest_gains_its_checksum_and_nothing_else(store: Store) -> None:
    part = store.put_part(STAGE, "attempt-1/network.pt", b"weights", None)
    provenance = json.loads(OF_BEFORE)["provenance"]
    store.commit(STAGE, [part], {"accuracy": 0.5, "n": 5}, provenance)
    text = (Path(store.folder(STAGE)) / MANIFEST).read_text()
    lines = text.replace('"device": "",\n   "seconds": 0.0', '"device": ""').splitlines()  # since then parts have both
    old = OF_BEFORE.splitlines()
    assert lines[:-3] == old[:-2]
    assert lines[-3:] == [" },", lines[-2], "}"]
    assert re.fullmatch(rf' "{CHECKSUM}": "[0-9a-f]{{64}}"', lines[-2])


# -- places that do not take or give what they should


@pytest.mark.parametrize("what", ["manifest", "part", "sidecar"])
def test_a_folder_in_the_place_of_a_file_is_told_with_its_path(what: str, store: Store) -> None:
    squares = toy.squares(STAGE)
    artifact = runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())["x"]
    place = Path(artifact.folder) / {"manifest": MANIFEST, "part": "part-00000.parquet"}.get(what, "")
    if what == "sidecar":
        place = Path(artifact.folder) / "progress" / "part-00000.parquet.json"
        (Path(artifact.folder) / MANIFEST).unlink()
    else:
        place.unlink()
    place.mkdir(parents=True)
    told = rf"{place}: cannot be read \(it is a folder\); a folder is where a file should be[^\n]*"
    with pytest.raises(runner.BuildFailed if what == "sidecar" else StoreError, match=told):
        runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())["x"].batch()


@pytest.mark.parametrize("lacks", ["manifest", "sidecar"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_in_one_line_and_the_work_goes_on_once_there_is_space(
    lacks: str, number: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, squares = toy.numbers(30), toy.squares(toy.numbers(30))
    runner.build({"x": data}, store, InlineBackend(), toy.Recorder())
    full = MANIFEST if lacks == "manifest" else "part-00002.parquet.json"

    def write(path: str, content: bytes) -> None:
        if path.endswith(full):
            raise OSError(number, os.strerror(number), path)
        whole(path, content)

    whole = stores.replace_file
    monkeypatch.setattr(stores, "replace_file", write)
    # The driver's own commit fails its stage, a worker's its shard; everything else goes on.
    with pytest.raises(runner.BuildFailed) as raised:
        runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())
    (line,) = [line for line in str(raised.value).splitlines() if os.strerror(number) in line]
    assert re.search(rf"/squares/\w+/(progress/)?{full}: [\d,]+ bytes cannot be written \(.*\); make space there", line)
    monkeypatch.undo()
    recorder = toy.Recorder()
    built = runner.build({"x": squares}, store, InlineBackend(), recorder)["x"]
    assert recorder.rounds == [0 if lacks == "manifest" else 1]  # shards to compute: the others were kept
    assert built.batch()["id"].tolist() == list(range(30))


# -- what leads to an artifact


def sidecar(store: Store, stage: Stage, index: int = 0) -> Path:
    return Path(store.folder(stage)) / "progress" / f"part-{index:05d}.parquet.json"


SIDECARS: dict[str, Change] = {
    "rows": lambda s: s.update(rows=s["rows"] - 1),
    "bytes": lambda s: s.update(bytes=1),
    "sha256": lambda s: s.update(sha256="0" * 64),
    "the type of rows": lambda s: s.update(rows="5"),
    "the shard": lambda s: s.update(path="part-00001.parquet"),
    "a field, which is gone": lambda s: s.pop("path"),
}


@pytest.mark.parametrize("kept", ["with its checksum", "without a checksum"])
@pytest.mark.parametrize("what", SIDECARS)
def test_a_shard_whose_sidecar_was_changed_is_computed_again(what: str, kept: str, store: Store) -> None:
    squares = toy.squares(toy.numbers(20))
    honest = runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())["x"]
    for index, part in enumerate(honest.parts):
        data = (Path(honest.folder) / part.path).read_bytes()
        store.put_shard(squares, index, data, part.rows or 0, part.device)
    assert list(store.finished_shards(squares)) == [0, 1]
    said = json.loads(sidecar(store, squares).read_text())
    SIDECARS[what](said)
    if kept == "without a checksum":
        del said[CHECKSUM]
    sidecar(store, squares).write_text(json.dumps(said))
    assert list(store.finished_shards(squares)) == [1]
    manifest_of(honest).unlink()
    recorder = toy.Recorder()
    again = runner.build({"x": squares}, store, InlineBackend(), recorder)["x"]
    assert recorder.rounds == [1]
    assert again.digest == honest.digest


def test_a_sidecar_of_an_older_raylab_spares_its_shard(store: Store) -> None:
    squares = toy.squares(STAGE)
    whole = runner.build({"x": squares}, store, InlineBackend(), toy.Recorder())["x"]
    part = store.put_shard(squares, 0, (Path(whole.folder) / whole.parts[0].path).read_bytes(), 5, "cpu")
    of_before = {"path": part.path, "rows": 5, "bytes": part.bytes, "sha256": part.sha256, "device": "cpu"}
    sidecar(store, squares).write_text(json.dumps(of_before))
    assert store.shard(squares, 0) == part
