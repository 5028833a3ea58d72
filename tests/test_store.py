"""The store: a manifest or nothing."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import toy
from pyarrow import fs as pafs

from raylab.engine import columns
from raylab.engine.artifact import MANIFEST, CorruptArtifact, StoreError
from raylab.engine.store import REQUESTS_AT_ONCE, Store
from raylab.engine.worker import NullReporter, Worker


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def table(rows: int) -> bytes:
    return columns.to_parquet(columns.to_table({"id": np.arange(rows)}))


def test_an_artifact_exists_from_its_manifest_on_and_not_before(store: Store) -> None:
    stage = toy.numbers(5)
    part = store.put_part(stage, "attempt-1/part-00000.parquet", b"bytes", 5)
    assert store.find(stage) is None
    store.commit(stage, [part], {"n": 5}, {})
    found = store.find(stage)
    assert found is not None
    assert found.metrics == {"n": 5}


def test_a_write_that_fails_half_way_leaves_neither_the_file_nor_a_temporary_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(StoreError, match=r"a/b: 4 bytes cannot be written \(disk full\); .*run the same command again"):
        store.put(f"{store.root}/a/b", b"data")
    assert [p for p in (tmp_path / "store").rglob("*") if p.is_file()] == []


def test_a_changed_byte_is_an_error_with_the_remedy_and_never_read(store: Store) -> None:
    stage = toy.numbers(5)
    artifact = Worker(store, "cpu", {}).run_task(stage, NullReporter())
    path = Path(artifact.folder) / artifact.parts[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptArtifact, match=r"numbers .*does not have the bytes.*remove .*MANIFEST"):
        artifact.table()


def test_a_missing_part_is_an_error_that_names_it(store: Store) -> None:
    artifact = Worker(store, "cpu", {}).run_task(toy.numbers(5), NullReporter())
    (Path(artifact.folder) / artifact.parts[0].path).unlink()
    with pytest.raises(CorruptArtifact, match="is missing"):
        artifact.batch()


def test_another_stage_under_the_same_short_key_is_refused(store: Store) -> None:
    stage = toy.numbers(5)
    artifact = Worker(store, "cpu", {}).run_task(stage, NullReporter())
    other = Worker(store, "cpu", {}).run_task(toy.numbers(6), NullReporter())
    (Path(artifact.folder) / MANIFEST).write_bytes((Path(other.folder) / MANIFEST).read_bytes())
    with pytest.raises(CorruptArtifact, match="holds key"):
        store.find(stage)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}'])
def test_a_torn_manifest_is_an_error_and_not_an_absence(store: Store, text: str) -> None:
    stage = toy.numbers(5)
    store.put(f"{store.folder(stage)}/{MANIFEST}", text.encode())
    with pytest.raises(CorruptArtifact, match="not a manifest"):
        store.find(stage)


def test_a_shard_counts_only_with_its_sidecar_and_its_bytes(store: Store) -> None:
    stage = toy.squares(toy.numbers(5))
    assert store.shard(stage, 0) is None
    part = store.put_shard(stage, 0, table(5), 5)
    assert store.shard(stage, 0) == part
    path = Path(store.folder(stage)) / part.path
    path.write_bytes(table(6))
    assert store.shard(stage, 0) is None
    path.unlink()
    assert store.shard(stage, 0) is None


def test_the_digest_covers_the_bytes_and_not_the_folder_of_the_attempt(store: Store, tmp_path: Path) -> None:
    stage = toy.numbers(5)
    first = Worker(store, "cpu", {}).run_task(stage, NullReporter())
    again = Worker(Store(str(tmp_path / "other")), "cpu", {}).run_task(stage, NullReporter())
    assert first.parts[0].path != again.parts[0].path
    assert first.digest == again.digest
    other = Worker(store, "cpu", {}).run_task(toy.numbers(6), NullReporter())
    assert other.digest != first.digest


def test_rows_are_read_across_parts_in_order(store: Store) -> None:
    stage = toy.squares(toy.numbers(25))
    pieces = [np.arange(0, 10), np.arange(10, 20), np.arange(20, 25)]
    parts = [
        store.put_shard(stage, i, columns.to_parquet(columns.to_table({"id": piece})), len(piece))
        for i, piece in enumerate(pieces)
    ]
    artifact = store.commit(stage, parts, {}, {})
    assert artifact.rows == 25
    for start, stop in [(0, 25), (8, 12), (9, 21), (20, 99), (3, 3)]:
        assert artifact.batch(start, stop)["id"].tolist() == list(range(25))[start:stop]


def test_attempts_are_counted_across_stores_that_look_at_the_same_place(store: Store) -> None:
    stage = toy.numbers(1)
    assert [Store(store.uri).attempt(stage, 1) for _ in range(3)] == [1, 2, 3]
    assert store.attempt(stage, 2) == 1
    store.forget_attempts(stage, 1)
    assert (store.attempt(stage, 1), store.attempt(stage, 2)) == (1, 2)
    store.finished_shards(stage)
    assert (store.attempt(stage, 1), store.attempt(stage, 2)) == (1, 1)


def test_a_store_travels_to_workers_as_its_uri(store: Store) -> None:
    assert pickle.loads(pickle.dumps(store)).root == store.root


def test_an_unknown_scheme_is_refused_with_the_uri() -> None:
    with pytest.raises(StoreError, match="nosuch://bucket"):
        Store("nosuch://bucket/path")


def test_a_path_that_python_could_not_read_for_its_locale_is_refused_with_what_helps() -> None:
    with pytest.raises(StoreError, match=r"store '/home/J\\udcc3\\udcb6rg': .*set PYTHONUTF8=1"):
        Store("/home/J\udcc3\udcb6rg")


def test_a_place_that_cannot_be_written_is_told_before_compute(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"cannot be written.*RAYLAB_HOME"):
        Store(str(tmp_path / "file" / "store")).check_writable()


def test_a_file_system_without_renames_works_too(tmp_path: Path) -> None:
    """An object store as pyarrow shows it: the same code path as S3, on a file system that is no LocalFileSystem."""
    store = Store(str(tmp_path))
    store.filesystem = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    store.root = "bucket"
    store.filesystem.create_dir("bucket/numbers", recursive=True)
    assert not store.is_local
    stage = toy.numbers(5)
    store.filesystem.create_dir(store.folder(stage))
    part = store.put_part(stage, "part-00000.parquet", columns.to_parquet(pa.table({"id": [1, 2]})), 2)
    store.commit(stage, [part], {}, {})
    assert store.require(stage).batch()["id"].tolist() == [1, 2]


def test_columns_survive_the_way_to_parquet_and_back() -> None:
    rng = np.random.default_rng(0)
    batch = {
        "id": np.arange(4),
        "image": rng.random((4, 3, 2, 2)).astype(np.float32),
        "small": rng.integers(0, 255, (4, 1, 2, 2)).astype(np.uint8),
        "correct": np.array([True, False, True, True]),
    }
    for rows in (batch, {name: column[:0] for name, column in batch.items()}):
        back = columns.to_batch(columns.from_parquet(columns.to_parquet(columns.to_table(rows))))
        for name, column in rows.items():
            assert back[name].dtype == column.dtype
            assert back[name].shape == column.shape
            assert np.array_equal(back[name], column)


def test_images_are_fixed_shape_tensors_that_plain_arrow_reads() -> None:
    table = columns.to_table({"image": np.zeros((2, 3, 4, 5), np.float32)})
    assert table.schema.field("image").type.shape == [3, 4, 5]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of rows"):
        columns.to_table({"a": np.arange(2), "b": np.arange(3)})


def test_a_driver_that_tidies_takes_no_folder_from_another_that_writes(store: Store) -> None:
    stage = toy.squares(toy.numbers(5))
    written: list[int] = []

    def write() -> None:
        for index in range(200):
            store.attempt(stage, index % 20)
            written.append(index)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        store.remove_progress(stage)
        time.sleep(0.05)
    writer.join()
    assert len(written) == 200


@pytest.mark.parametrize(("megabytes", "together"), [(0, 16), (20, 12), (200, 1), (1000, 1)])
def test_requests_that_hold_much_are_sent_a_few_at_a_time(megabytes: int, together: int, store: Store) -> None:
    """A driver that sums up a set of large shards held sixteen of them."""
    running, most, lock = 0, 0, threading.Lock()

    def ask(number: int) -> int:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
        time.sleep(0.01)
        with lock:
            running -= 1
        return number

    assert store.map_parallel(ask, range(40), megabytes * 2**20) == list(range(40))
    assert most <= together


def test_where_one_request_fails_those_that_wait_are_not_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, ending = list[int](), threading.Event()

    class Requests(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ending.set()
            super().shutdown(wait=wait)

    def ask(number: int) -> int:
        sent.append(number)
        if number == 0:
            raise StoreError("the store has gone")
        ending.wait()
        return number

    monkeypatch.setattr("raylab.engine.store.ThreadPoolExecutor", Requests)
    with pytest.raises(StoreError, match="has gone"):
        store.map_parallel(ask, range(1000))
    assert len(sent) <= REQUESTS_AT_ONCE + 1  # the thread that failed takes one more
