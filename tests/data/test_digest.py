"""The digest of raw files and its memo."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from test_idx import write_mnist

from raylab import data
from raylab.data import digest
from raylab.data.reader import RawFile


def files(folder: Path) -> list[RawFile]:
    return [RawFile(folder / "a", "images"), RawFile(folder / "b", "labels")]


def write(folder: Path, a: bytes = b"aa", b: bytes = b"bb") -> list[RawFile]:
    folder.mkdir(exist_ok=True)
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    return files(folder)


def remembered(cache: Path) -> dict[str, str]:
    return dict(json.loads((cache / digest.MEMO).read_text())["digests"])


def test_the_digest_depends_on_bytes_order_and_roles_and_not_on_paths(tmp_path: Path) -> None:
    one = write(tmp_path / "one")
    found = digest.of_files(one, None)
    assert digest.of_files(write(tmp_path / "two"), None) == found
    others = [
        digest.of_files(write(tmp_path / "three", b"aab", b"b"), None),  # the same bytes, parted otherwise
        digest.of_files(one[::-1], None),
        digest.of_files([RawFile(file.path, "other") for file in one], None),
    ]
    assert len({found, *others}) == 4


def test_a_file_without_a_byte_is_refused_whatever_is_remembered(tmp_path: Path) -> None:
    raw, cache = write(tmp_path / "raw"), tmp_path / "cache"
    digest.of_files(raw, cache)
    (tmp_path / "raw" / "b").write_bytes(b"")
    with pytest.raises(data.DataError, match=r"raw/b: an empty file; copy it again, or remove it"):
        digest.of_files(raw, cache)


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, cache = write(tmp_path / "raw"), tmp_path / "cache"
    found = digest.of_files(raw, cache)

    def never(_: list[RawFile]) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr(digest, "_digest", never)
    assert digest.of_files(raw, cache) == found
    assert [path.name for path in cache.iterdir()] == [digest.MEMO]


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    raw, cache = write(tmp_path / "raw"), tmp_path / "cache"
    found = digest.of_files(raw, cache)
    write(tmp_path / "raw", b"AA")
    os.utime(tmp_path / "raw" / "a", ns=(1, 1))  # the same size; the time tells
    assert digest.of_files(raw, cache) not in (found, "")
    assert len(remembered(cache)) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_a_damaged_memo_is_made_again(tmp_path: Path, damage: str) -> None:
    raw, cache = write(tmp_path / "raw"), tmp_path / "cache"
    found = digest.of_files(raw, cache)
    (cache / digest.MEMO).write_text(damage)
    assert digest.of_files(raw, cache) == found
    assert found in remembered(cache).values()


@pytest.mark.parametrize("kept", ["the checksum", "the form of an older raylab"])
def test_a_memo_whose_digests_were_changed_is_not_believed(tmp_path: Path, kept: str) -> None:
    raw, cache = write(tmp_path / "raw"), tmp_path / "cache"
    found = digest.of_files(raw, cache)
    memo = json.loads((cache / digest.MEMO).read_text())
    memo["digests"] = dict.fromkeys(memo["digests"], "0" * 64)
    (cache / digest.MEMO).write_text(json.dumps(memo if kept == "the checksum" else memo["digests"]))
    assert digest.of_files(raw, cache) == found


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert digest.of_files(raw, tmp_path / "cache") == digest.of_files(raw, None)


def test_zipped_and_plain_files_are_two_data_sets_and_splits_differ(tmp_path: Path) -> None:
    write_mnist(tmp_path / "plain")
    write_mnist(tmp_path / "zipped", zipped=True)
    found = {data.content("mnist", tmp_path / form, split) for form in ("plain", "zipped") for split in data.SPLITS}
    assert len(found) == 4
