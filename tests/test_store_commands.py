"""`raylab store`: what is there, whether it is whole, what nobody needs, and the way to another; here and on S3."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import runs as small
import toy
from moto.server import ThreadedMotoServer
from test_entry import refused, said

from raylab.engine import archive, columns, kept_runs, plans, runner
from raylab.engine.ancestry import Ancestry, inputs
from raylab.engine.artifact import MANIFEST, Artifact, StoreError
from raylab.engine.garbage import garbage, remove
from raylab.engine.runner import InlineBackend
from raylab.engine.sealed import seal
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.engine.study import Study
from raylab.experiments.transfer import EXPERIMENT
from raylab.tracking import Publication, Record

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URI of an empty bucket, to which a folder can be added."""
    server = ThreadedMotoServer(ip_address=LOCAL, port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        options = f"endpoint_override={LOCAL}:{server.get_host_and_port()[1]}&scheme=http"
        Store(f"s3://bucket?{options}&allow_bucket_creation=true").filesystem.create_dir("bucket")
        yield f"s3://bucket/FOLDER?{options}"
    server.stop()


@pytest.fixture(params=["here", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "here":
        return Store(str(tmp_path / "store"))
    return Store(request.getfixturevalue("s3").replace("FOLDER", tmp_path.name))


def build(store: Store, *stages: Stage) -> list[Artifact]:
    made = runner.build(dict(enumerate(stages)), store, InlineBackend(), toy.Recorder())
    return [made[index] for index in range(len(stages))]


def report(store: Store, study: str, *stages: Stage) -> Study[toy.Settings, int]:
    """Built, and kept as a run."""
    of = Study(toy.Settings(study=study), dict(enumerate(stages)))
    made = of.built({(of.key, cell): one for cell, one in enumerate(build(store, *stages))})
    kept_runs.keep(store, "toy", made, Publication(Record(of.key, study), (), {}))
    return of


def words(store: Store, *words: str) -> tuple[str, ...]:
    return ("store", words[0], "--store", store.uri, *words[1:])


def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the store now is no longer young."""
    monkeypatch.setattr("raylab.engine.garbage.MARGIN", timedelta(hours=-2))


# -- looking


def test_artifacts_are_listed_with_the_studies_that_asked_for_them_and_shown_down_to_raw_data(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    squares = toy.squares(toy.numbers(15))
    report(store, "first", squares)
    report(store, "second", toy.numbers(15))
    header, line = said(capsys, *words(store, "ls", "numbers")).splitlines()
    assert header.split() == ["key", "kind", "name", "rows", "bytes", "finished", "studies"]
    assert sorted(line.replace(",", "").split()[-2:]) == ["first", "second"]
    shown = said(capsys, *words(store, "show", squares.key))
    assert re.search(
        rf"lineage: .*\n  - data: numbers \[{squares.inputs['data'].key[:12]}\], digest [0-9a-f]{{12}}\n$", shown
    )
    assert "made from no other artifact" in said(capsys, *words(store, "show", squares.inputs["data"].key))


def test_verify_names_every_damaged_part_and_a_damaged_manifest(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    squares, numbers = build(store, toy.squares(toy.numbers(15)), toy.numbers(7))
    assert said(capsys, *words(store, "verify")).startswith("3 artifacts, ")
    path = f"{squares.folder}/{squares.parts[1].path}"
    data = bytearray(store.get(path) or b"")
    data[9] ^= 1
    store.put(path, bytes(data))
    store.put(f"{numbers.folder}/{MANIFEST}", b"{}")
    code, text = refused(capsys, *words(store, "verify"))
    assert code == 1
    assert len(text.splitlines()) == 2
    assert f"{path} does not have the bytes that were committed" in text
    assert f"{numbers.folder}/{MANIFEST}: not a manifest" in text
    assert said(capsys, *words(store, "verify", inputs(squares)["data"])).startswith("1 artifacts, ")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A matrix of See-Far, reported."""
    store = Store(str(tmp_path_factory.mktemp("matrix")))
    of = Study(small.SEEFAR, small.plan(small.SEEFAR))
    built = of.built({(of.key, cell): one for cell, one in small.built(small.SEEFAR, store).artifacts.items()})
    (publication,) = EXPERIMENT.results([built]).publications
    kept_runs.keep(store, "transfer_matrix", built, publication)
    return store


def test_shards_that_are_computed_again_have_the_same_bytes_and_forged_ones_are_found(
    matrix: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(str(shutil.copytree(matrix.root, tmp_path / "copy")))
    told = said(capsys, *words(store, "verify", "--recompute", "3"))
    assert told.count("the same  ") == 3
    forged = next(one for one in Ancestry(store).everything() if one.manifest["kind"] == "constructed")
    rows = {**forged.batch(), "label": forged.batch()["label"] * 0}
    data = columns.to_parquet(columns.to_table(rows))
    shutil.rmtree(forged.folder)
    (stage,) = [s for s in runner.closure(small.plan(small.SEEFAR).values()) if s.key == forged.key]
    store.commit(stage, [store.put_part(stage, "part-00000.parquet", data, forged.rows)], {}, {"device": "cpu"})
    code, text = refused(capsys, *words(store, "verify", "--recompute", "1000"))
    assert code == 1
    wrong = f"{forged.label} part-00000.parquet: computed again on cpu it has other bytes; it was made on cpu"
    assert wrong in text.splitlines()


def test_the_tracker_is_told_again_from_the_store_alone(
    matrix: Store, empty_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    site = tmp_path / "site.yaml"
    site.write_text(f"{{backend: inline, tracking: '{uri}', free_gb: 0}}")
    before = {path: path.stat().st_mtime_ns for path in Path(matrix.root).rglob(MANIFEST)}
    for _ in range(2):
        said(capsys, *words(matrix, "republish", "--site", str(site)))
    client = mlflow.MlflowClient(uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == "transfer/seefar"]
    parents = client.search_runs([experiment.experiment_id], "tags.raylab.stage = 'experiment'") or [
        run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags
    ]
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert {path: path.stat().st_mtime_ns for path in Path(matrix.root).rglob(MANIFEST)} == before
    code, text = refused(capsys, *words(matrix, "republish", "nothing", "--site", str(site)))
    assert (code, "nothing: no study in " in text) == (1, True)


@pytest.mark.parametrize("command", ["ls", "verify", "gc"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    uri = "s3://AKIAPLANTED:planted-secret@bucket/store?region=us-east-1"
    code, text = refused(capsys, "store", command, "--store", uri)
    assert (code, "credentials in a URI" in text) == (1, True)
    assert "planted-secret" not in text
    assert "AKIAPLANTED" not in text


# -- tidying


def test_only_what_no_study_needs_is_garbage_and_nothing_is_removed_unasked(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = toy.squares(toy.numbers(15))
    report(store, "first", kept)
    (other,) = build(store, toy.numbers(4, "of nobody"))
    assert said(capsys, *words(store, "gc")).startswith("no garbage")  # it is young: somebody may be making it
    aged(monkeypatch)
    shown = said(capsys, *words(store, "gc"))
    assert "of nobody [" in shown
    assert "1 things, " in shown
    assert store.at(other.folder) is not None
    assert shown.replace("to remove; nothing was removed: --delete does it", "removed") == said(
        capsys, *words(store, "gc", "--delete")
    )
    assert store.at(other.folder) is None
    assert {one.key for one in Ancestry(store).everything()} == {kept.key, kept.inputs["data"].key}


def test_named_roots_are_kept_alone_and_a_study_that_has_not_ended_always(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third, fourth = (toy.numbers(count) for count in (1, 2, 3, 4))
    report(store, "first", first)
    report(store, "second", second)
    build(store, third, fourth)
    running = Study(toy.Settings(study="third"), {0: toy.squares(third)})
    aged(monkeypatch)

    class Killed(Exception):
        """The end of a job that lives not to say so."""

    with suppress(Killed), plans.begun(store, "toy", [running]):
        raise Killed
    found, notes = garbage(store, ["first"])
    (note,) = notes
    assert "study third, needs: it was begun " in note
    assert store.folder(third) not in {one.path for one in found}
    assert store.folder(first) not in {one.path for one in found}
    (plan,) = plans.unfinished(store)
    store.delete(plan.path)
    found, _ = garbage(store, ["first", fourth.key[:6]])
    assert {one.path for one in found} == {store.folder(second), store.folder(third)}
    with pytest.raises(StoreError, match=r"no study, sweep or key in .*; it has the studies first, second"):
        garbage(store, ["frist"])


def test_a_job_that_begins_while_garbage_is_looked_at_keeps_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = build(store, toy.numbers(3))
    aged(monkeypatch)
    found, _ = garbage(store)
    assert [one.path for one in found] == [made.folder]
    again = Study(toy.Settings(), {0: toy.numbers(3)})
    with plans.begun(store, "toy", [again]), pytest.raises(StoreError, match="a job has begun meanwhile"):
        remove(store, found)
    assert store.at(made.folder) is not None
    assert plans.unfinished(store) == []


def test_attempts_and_half_written_files_go_and_shards_of_what_is_wanted_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = toy.numbers(5)
    report(store, "first", stage)
    dead, torn = f"{store.folder(stage)}/attempt-0123456789ab", f"{store.folder(stage)}/x.parquet.tmp-01234567"
    store.put(f"{dead}/part-00000.parquet", b"xx")
    store.put(torn, b"y")
    half = toy.squares(toy.numbers(6))
    store.put_shard(half, 0, b"no table", 3)
    aged(monkeypatch)
    found, _ = garbage(store)
    assert sorted(one.path for one in found) == sorted([dead, torn, store.folder(half)])
    remove(store, found)
    assert garbage(store)[0] == []
    assert len(Ancestry(store).everything()) == 1


def test_trials_and_comparisons_of_a_sweep_are_roots(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, final, lost = (toy.numbers(count) for count in (1, 2, 3))
    build(store, trial, final, lost)
    folder = f"{store.root}/sweeps/{'a' * 12}"
    store.put_json(f"{folder}/sweep.json", {"study": "lr", "final": {"seeds": [1]}})
    record = {"state": "finished", "stages": [trial.key], "numbers": {"violations": [None, -1.0]}}
    store.put_json(f"{folder}/trials/00000.json", record)
    aged(monkeypatch)
    with pytest.raises(StoreError, match=r"sweep, study lr .*: an older raylab did not write down"):
        garbage(store)
    store.put_json(f"{folder}/final.json", {"stages": [final.key]})
    assert [one.path for one in garbage(store)[0]] == [store.folder(lost)]


def test_the_runs_of_an_older_raylab_are_not_taken_for_runs_that_need_nothing(store: Store) -> None:
    report(store, "first", toy.numbers(3))
    (path,) = [f"{folder}/{name}" for folder in store.folders("runs") for name in store.names(folder)]
    old = store.get_json(path, "")
    store.put_json(path, {name: value for name, value in old.items() if name != "stages"})
    with pytest.raises(StoreError, match="run its job again, which computes nothing, or name the studies to keep"):
        garbage(store)


# -- moving


def test_an_artifact_goes_to_another_store_with_all_that_it_was_made_from(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (squares,) = build(store, toy.squares(toy.numbers(25)))
    file, other = tmp_path / "squares.tar", Store(str(tmp_path / "other"))
    said(capsys, *words(store, "export", squares.key, "--to", str(file)))
    first = said(capsys, *words(other, "import", str(file)))
    assert [line.split()[:2] for line in first.splitlines()] == [["new", "numbers"], ["new", "squares"]]
    assert said(capsys, *words(other, "import", str(file))) == first.replace("new  ", "there already  ")
    (again,) = build(other, toy.squares(toy.numbers(25)))  # found, not made
    assert again.manifest == squares.manifest
    assert said(capsys, *words(other, "verify")).startswith("2 artifacts, ")
    assert refused(capsys, *words(store, "export", squares.key, "--to", str(file)))[0] == 2
    twice = tmp_path / "twice.tar"
    said(capsys, *words(other, "export", squares.key, "--to", str(twice)))
    assert twice.read_bytes() == file.read_bytes()


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, Artifact]:
    store = Store(str(tmp_path / "from"))
    (squares,) = build(store, toy.squares(toy.numbers(25)))
    archive.write(Ancestry(store), squares, tmp_path / "good.tar")
    return tmp_path / "good.tar", squares


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(file: Path, change: Callable[[Members], object]) -> Path:
    with tarfile.open(file) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]
    change(members)
    path = file.with_name("bad.tar")
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def renamed(name: str, number: int = 1) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[number][0].name = name

    return change


def turned_into(kind: bytes, target: str = "/etc/passwd") -> Callable[[Members], None]:
    def change(members: Members) -> None:
        info, _ = members[1]
        info.type, info.linkname = kind, target
        members[1] = info, b""

    return change


def flipped(members: Members) -> None:
    info, data = members[1]
    members[1] = info, bytes([data[0] ^ 1]) + data[1:]


def longer(members: Members) -> None:
    info, data = members[1]
    members[1] = info, data + b"x" * 100


def leading_out(members: Members) -> None:
    """A manifest that is sealed and true to itself, whose part lies elsewhere."""
    info, data = members[0]
    made = json.loads(data)
    made.pop("checksum")
    made["parts"][0]["path"] = "../../../escaped"
    members[0] = info, seal(made)


HOSTILE: dict[str, tuple[Callable[[Members], object], str]] = {
    "an absolute path": (renamed("/tmp/raylab-escaped"), "is needed"),
    "a path out of the store": (renamed("../../escaped"), "is needed"),
    "a link": (turned_into(tarfile.SYMTYPE), "not a plain file"),
    "a hard link": (turned_into(tarfile.LNKTYPE, "numbers/x"), "not a plain file"),
    "a pipe": (turned_into(tarfile.FIFOTYPE), "not a plain file"),
    "a device": (turned_into(tarfile.CHRTYPE), "not a plain file"),
    "a folder": (turned_into(tarfile.DIRTYPE), "not a plain file"),
    "other bytes": (flipped, "not the bytes that its manifest names"),
    "more bytes": (longer, "bytes; .* at most"),
    "a part elsewhere": (leading_out, "no part has path"),
    "what was made before what it was made from": (lambda members: members.__delitem__(slice(0, 2)), "made from"),
    "an end too early": (lambda members: members.pop(), "the file ends, where"),
    "a manifest under another name": (renamed(f"numbers/{'0' * 12}/{MANIFEST}", 0), "describes"),
    "a kind that is none": (renamed(f"runs/x/{MANIFEST}", 0), "is needed here"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing_outside_and_no_manifest_over_it(
    name: str, exported: tuple[Path, Artifact], tmp_path: Path
) -> None:
    change, rule = HOSTILE[name]
    bad, target = rewritten(exported[0], change), Store(str(tmp_path / "deep" / "store"))
    before = {path for path in tmp_path.rglob("*") if "deep" not in path.parts}
    with pytest.raises(ValueError, match=f"^{re.escape(str(bad))}: .*{rule}"):
        archive.read(bad, target)
    assert {path for path in tmp_path.rglob("*") if "deep" not in path.parts} == before
    assert not [path for path in (tmp_path / "deep").rglob("*") if path.is_symlink()]
    assert all(artifact.damages() == [] for artifact in Ancestry(target).everything())
    assert Ancestry(target).artifact(exported[1].key) is None


@pytest.mark.parametrize("kept", [0, 100, 512, 700, 2000, -600])
def test_a_cut_archive_is_refused(kept: int, exported: tuple[Path, Artifact], tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    whole = exported[0].read_bytes().rstrip(b"\0")
    cut.write_bytes(whole[:kept])
    target = Store(str(tmp_path / "target"))
    if kept == 0:
        with pytest.raises(ValueError, match="not a whole tar file"):
            archive.read(cut, target)
        return
    with pytest.raises(ValueError, match=str(cut)):
        archive.read(cut, target)
    assert Ancestry(target).artifact(exported[1].key) is None


def test_a_compressed_archive_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    small_file = tmp_path / "bomb.tar"
    small_file.write_bytes(gzip.compress(b"\0" * 2**22))
    pipe = tmp_path / "pipe.tar"
    os.mkfifo(pipe)
    for path in (small_file, pipe, tmp_path / "absent.tar"):
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"not a whole tar file|no such file"):
            archive.read(path, Store(str(tmp_path / "target")))
        assert time.monotonic() - began < 5


def test_a_key_that_is_there_with_other_bytes_is_refused(exported: tuple[Path, Artifact], tmp_path: Path) -> None:
    other, stage = Store(str(tmp_path / "other")), toy.numbers(25)
    data = columns.to_parquet(columns.to_table({"id": np.arange(25), "x": np.arange(25) * 0.25}))
    other.commit(stage, [other.put_part(stage, "part-00000.parquet", data, 25)], {"n": 25}, {})
    with pytest.raises(StoreError, match=r"has it with the digest .*: import into another store"):
        archive.read(exported[0], other)
