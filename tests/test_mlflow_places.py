"""Runs are what was measured, wherever the store lies; what is missing comes back, what people added stays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.tracking._tracking_service import utils
from mlflow_runs import PARENT_RECORD, SHA, cells, child, database, opened, publish, runs, study

from raylab.engine.identity import fingerprint
from raylab.tracking import DataRef, Publication, Record, TrackerError
from raylab.tracking.mlflow.content import NOTE, content
from raylab.tracking.mlflow.files import follow
from raylab.tracking.mlflow.run import CONTENT, KEY, PARENT
from raylab.tracking.mlflow.tracker import MlflowTracker


def in_store(store: str, **changes: Any) -> Publication:
    """The same results, as a store at that place tells them."""
    inputs = (DataRef("construct det", SHA, f"{store}/set/abc"),)
    children = [
        child(i, inputs=inputs, places={"raylab.artifact": f"{store}/student/{i}"}, **changes) for i in range(3)
    ]
    parent = replace(study().parent, inputs=(DataRef("digits", SHA, f"{store}/data/def"),))
    return replace(study(), parent=parent, children=tuple(children))


def as_before(tracker: MlflowTracker, publication: Publication) -> None:
    """Give all runs the digests that raylab wrote until December 2026."""
    client = MlflowClient(tracker.uri)

    def digested(record: Record) -> dict[str, object]:
        told = content(record)
        fields = {"name": told.name, "params": told.params, "points": told.points, "inputs": told.inputs}
        return {**fields, "tags": {**told.tags, **record.places}}

    for record in publication.children:
        client.set_tag(cells(tracker)[record.key].info.run_id, CONTENT, fingerprint(digested(record)))
    sums = {path: sha256(data).hexdigest() for path, data in publication.files.items()}
    run_id = opened(tracker).info.run_id
    client.set_tag(run_id, CONTENT, fingerprint((digested(publication.parent), sums)))
    for run in [*cells(tracker).values(), opened(tracker)]:
        client.delete_tag(run.info.run_id, "raylab.note.sha256")


def ids(tracker: MlflowTracker) -> dict[str, str]:
    return {key: run.info.run_id for key, run in cells(tracker).items()} | {"": opened(tracker).info.run_id}


def annotate(tracker: MlflowTracker, run: Run) -> None:
    """All that a person can add to a run."""
    client, run_id = MlflowClient(tracker.uri), run.info.run_id
    client.set_tag(run_id, NOTE, "look at this one")
    client.set_tag(run_id, "mine", "yes")
    client.update_run(run_id, name="my favourite")
    client.log_metric(run_id, "rating", 5.0)
    client.log_text(run_id, "hello", "mine/hello.txt")


def has_all(tracker: MlflowTracker, run: Run) -> bool:
    data = run.data
    texts = (data.tags[NOTE], data.tags["mine"], run.info.run_name, data.metrics["rating"])
    path = MlflowClient(tracker.uri).download_artifacts(run.info.run_id, "mine/hello.txt")
    return texts == ("look at this one", "yes", "my favourite", 5.0) and Path(path).read_text() == "hello"


@pytest.mark.parametrize("old", [False, True])
def test_a_store_that_was_moved_leaves_every_run_and_what_people_added(tracker: MlflowTracker, old: bool) -> None:
    """Runs that an earlier raylab wrote, too."""
    publish(tracker, in_store("/home/me/.raylab/store"))
    if old:
        as_before(tracker, in_store("/home/me/.raylab/store"))
    before = ids(tracker)
    annotate(tracker, cells(tracker)["cell-1"])
    annotate(tracker, opened(tracker))
    for store in ("/mnt/other/store", "/mnt/other/store", "bucket/store"):
        publish(tracker, in_store(store))
        assert ids(tracker) == before
        assert has_all(tracker, cells(tracker)["cell-1"])
        assert has_all(tracker, opened(tracker))
        assert cells(tracker)["cell-0"].data.tags["raylab.artifact"] == f"{store}/student/0"
    as_it_is = database(tracker)
    publish(tracker, in_store("bucket/store"))
    assert database(tracker) == as_it_is
    assert not runs(tracker, view=ViewType.DELETED_ONLY)


def test_a_cell_of_an_earlier_raylab_that_changed_is_still_replaced(tracker: MlflowTracker) -> None:
    publish(tracker, in_store("/store"))
    as_before(tracker, in_store("/store"))
    before = ids(tracker)
    publish(tracker, in_store("/store", metrics={"accuracy": 0.1}))
    assert not set(before.values()) & {run.info.run_id for run in cells(tracker).values()}
    assert before[""] == opened(tracker).info.run_id


def test_what_people_added_to_a_parent_stays_when_its_results_change(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    annotate(tracker, opened(tracker))
    for note in ("other", "another"):
        parent = replace(study().parent, metrics={"mean_accuracy": 0.7}, note=note)
        publish(tracker, replace(study(), parent=parent))
    assert has_all(tracker, opened(tracker))
    assert opened(tracker).data.metrics["mean_accuracy"] == 0.7


def test_a_cell_that_changed_keeps_peoples_tags_and_note(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    annotate(tracker, cells(tracker)["cell-1"])
    publish(tracker, replace(study(), children=(child(0), child(1, metrics={"accuracy": 0.1}), child(2))))
    run = cells(tracker)["cell-1"]
    assert run.data.metrics["accuracy"] == 0.1
    assert (run.data.tags["mine"], run.data.tags[NOTE]) == ("yes", "look at this one")


def test_a_note_of_ours_goes_with_what_it_was_about(tracker: MlflowTracker) -> None:
    publish(tracker, replace(study(), children=(child(0, note="the trial was lost"),)))
    publish(tracker, replace(study(), children=(child(0, metrics={"accuracy": 0.1}),)))
    assert NOTE not in cells(tracker)["cell-0"].data.tags


def test_files_and_tags_that_are_gone_are_written_again(tracker: MlflowTracker, tmp_path: Path) -> None:
    run_id = publish(tracker, study())
    annotate(tracker, opened(tracker))
    client = MlflowClient(tracker.uri)
    client.delete_tag(cells(tracker)["cell-0"].info.run_id, "raylab.stage")
    shutil.rmtree(tmp_path / "files" / "study" / run_id / "artifacts" / "figures")
    publish(tracker, study())
    assert Path(client.download_artifacts(run_id, "figures/matrix.png")).read_bytes() == b"\x89PNG"
    assert has_all(tracker, opened(tracker))
    assert cells(tracker)["cell-0"].data.tags["raylab.stage"] == "cell"
    shutil.rmtree(tmp_path / "files")
    publish(tracker, study())
    assert Path(client.download_artifacts(run_id, "page.html")).read_bytes() == b"<h1>matrix</h1>"
    as_it_is = database(tracker)
    publish(tracker, study())
    assert database(tracker) == as_it_is


@pytest.mark.parametrize("with_cells", [False, True])
def test_a_study_that_was_deleted_comes_back_as_it_was(tracker: MlflowTracker, with_cells: bool) -> None:
    """MLflow's page can delete a parent alone, and leaves its cells as orphans."""
    publish(tracker, study())
    before = ids(tracker)
    annotate(tracker, cells(tracker)["cell-1"])
    annotate(tracker, opened(tracker))
    for run_id in before.values() if with_cells else [before[""]]:
        MlflowClient(tracker.uri).delete_run(run_id)
    publish(tracker, study())
    assert ids(tracker) == before
    assert has_all(tracker, cells(tracker)["cell-1"])
    assert has_all(tracker, opened(tracker))
    assert len(runs(tracker, view=ViewType.ALL)) == 4


def test_a_restored_double_of_an_earlier_raylab_goes_with_its_cells(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    before, client = ids(tracker), MlflowClient(tracker.uri)
    experiment = opened(tracker).info.experiment_id
    double = client.create_run(experiment, tags={KEY: "parent"}, start_time=2**42)
    tags = {KEY: "cell-0", PARENT: double.info.run_id, CONTENT: "0" * 64}
    for run in [client.create_run(experiment, tags=tags), double]:
        client.set_terminated(run.info.run_id)
    theirs = client.create_run(experiment, tags={PARENT: double.info.run_id}, run_name="a colleague's")
    publish(tracker, study())
    active = {run.info.run_id for run in runs(tracker)}
    assert active == {*before.values(), theirs.info.run_id}


def test_a_double_that_another_driver_writes_is_left_alone(tracker: MlflowTracker) -> None:
    publish(tracker, study())
    client = MlflowClient(tracker.uri)
    live = client.create_run(opened(tracker).info.experiment_id, tags={KEY: "parent"}, start_time=2**42)
    publish(tracker, study())
    assert client.get_run(live.info.run_id).info.lifecycle_stage == "active"


def home_of(folder: Path) -> MlflowTracker:
    """As the command line opens it: in a process of its own, and MLflow remembers where a run's files are by its id."""
    utils._artifact_repos_cache.clear()
    return MlflowTracker(f"sqlite:///{folder}/mlflow.db", str(folder / "mlartifacts"))


@pytest.fixture
def home(empty_database: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home 1"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    publish(home_of(folder), study())
    annotate(home_of(folder), opened(home_of(folder)))
    return folder


def test_a_home_that_was_moved_takes_its_files_along(home: Path, tmp_path: Path) -> None:
    publish(home_of(home), study(), "another")
    new = home.rename(tmp_path / "home_2")
    tracker = home_of(new)
    before = ids(tracker)
    publish(tracker, replace(study(), files={"page.html": b"new"}))
    assert ids(tracker) == before
    assert not home.exists()
    for run in [*cells(tracker).values(), opened(tracker)]:
        assert run.info.artifact_uri.startswith((new / "mlartifacts").as_uri())
    assert has_all(tracker, opened(tracker))
    assert (new / f"mlartifacts/study/{before['']}/artifacts/page.html").read_bytes() == b"new"
    # All experiments were moved, and their runs are seen without being published again.
    other = opened(tracker, "another")
    assert Path(MlflowClient(tracker.uri).download_artifacts(other.info.run_id, "page.html")).exists()


def test_a_copy_of_a_home_writes_into_the_copy(home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    run_id = publish(home_of(copy), replace(study(), files={"page.html": b"new"}))
    page = f"mlartifacts/study/{run_id}/artifacts/page.html"
    assert (copy / page).read_bytes() == b"new"
    assert (home / page).read_bytes() == b"<h1>matrix</h1>"


def test_a_home_seen_through_a_link_is_the_same_home(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    before = database(home_of(home))
    publish(home_of(link), study())
    assert database(home_of(home)) == before


def test_a_database_that_two_homes_share_keeps_the_place_of_its_files(home: Path, tmp_path: Path) -> None:
    shared = f"sqlite:///{home}/mlflow.db"
    run_id = publish(MlflowTracker(shared, str(tmp_path / "mine" / "mlartifacts")), study())
    assert opened(home_of(home)).info.artifact_uri.startswith((home / "mlartifacts").as_uri())
    assert (home / f"mlartifacts/study/{run_id}/artifacts/page.html").exists()


def locations(tracker: MlflowTracker) -> dict[str, str]:
    """Where the database says that the files of experiments, and of their runs, are."""
    client = MlflowClient(tracker.uri)
    found = {one.name: one.artifact_location for one in client.search_experiments()}
    runs_of = {one.name: client.search_runs([one.experiment_id]) for one in client.search_experiments()}
    for name, several in runs_of.items():
        assert all(run.info.artifact_uri.startswith(f"{found[name]}/") for run in several)
    return found


@pytest.mark.parametrize("linked", [False, True])
def test_a_home_never_takes_over_the_files_that_another_machine_has_in_a_shared_database(
    empty_database: Path, tmp_path: Path, linked: bool
) -> None:
    """The other machine's folders are not seen from here, and this home has one of the same name."""
    shared, alice, bob = (tmp_path / name for name in ("shared", "alice", "bob"))
    for folder in (shared, alice, bob / "mlartifacts" / "study"):
        folder.mkdir(parents=True)
    shutil.copy(empty_database, shared / "mlflow.db")
    uris = [f"sqlite:///{shared}/mlflow.db"] * 2
    if linked:
        for home in (alice, bob):
            (home / "mlflow.db").symlink_to(shared / "mlflow.db")
        uris = [f"sqlite:///{home}/mlflow.db" for home in (alice, bob)]
    of_alice, of_bob = (
        MlflowTracker(uri, str(home / "mlartifacts")) for uri, home in zip(uris, (alice, bob), strict=True)
    )
    publish(of_alice, study())
    publish(of_alice, study(), "another")
    before = locations(of_alice)
    shutil.rmtree(alice / "mlartifacts")
    utils._artifact_repos_cache.clear()
    publish(of_bob, study())
    assert locations(of_bob) == before
    assert before["another"] == (alice / "mlartifacts/another").as_uri()


def test_a_database_server_is_never_told_that_files_were_moved(tmp_path: Path) -> None:
    here, there = tmp_path / "mlartifacts/study", tmp_path / "gone/mlartifacts/study"
    here.mkdir(parents=True)
    found = follow("postgresql://nobody@127.0.0.1:9/none", there.as_uri(), here.as_uri())
    assert found == there.as_uri()


def test_experiments_whose_files_did_not_come_along_stay_where_they_are(home: Path, tmp_path: Path) -> None:
    for name in ("left", "Study", "study-2"):
        publish(home_of(home), study(), name)
    new = tmp_path / "new"
    (new / "mlartifacts").mkdir(parents=True)
    for part in ("mlflow.db", "mlartifacts/study", "mlartifacts/study-2"):
        (home / part).rename(new / part)
    publish(home_of(new), study())
    found = locations(home_of(new))
    came = {name for name, place in found.items() if place == (new / "mlartifacts" / name).as_uri()}
    assert came == {"study", "study-2"}
    run = opened(home_of(new), "left")
    assert Path(MlflowClient(home_of(new).uri).download_artifacts(run.info.run_id, "page.html")).exists()


def test_a_place_of_files_that_cannot_be_written_is_told_before_anything_is_computed(
    empty_database: Path, tmp_path: Path
) -> None:
    tracker = MlflowTracker(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "files"))
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    publish(tracker, study())
    shutil.rmtree(tmp_path / "files")
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(TrackerError, match=r"no run can be opened \((FileExists|NotADirectory)Error"):
        tracker.job("study", PARENT_RECORD).__enter__()
