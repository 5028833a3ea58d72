"""What a sweep reads back of its trials is what was written, and what an older raylab wrote is still read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sweeps
import toy

from raylab.engine.artifact import CorruptArtifact
from raylab.engine.sealed import CHECKSUM
from raylab.engine.store import Store
from raylab.sweep.follow import CurveCache
from raylab.sweep.records import Records, TrialRecord
from raylab.sweep.results import frame
from raylab.sweep.run import run

RECORD = TrialRecord(
    3,
    {"train.lr": 0.1, "data.classes": [1, 2]},
    "finished",
    {"accuracy": 0.5, "violations": [math.nan, 0.25], "error": None},
    "",
    2,
    1.5,
    ("a" * 64,),
    ((0.25, 0.5, math.nan), (0.5, 0.75, 1.0)),
    ((2, {"train.lr": 0.1}),),
)
Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "a number": lambda r: r["numbers"].update(accuracy=0.99),
    "the point": lambda r: r["point"].update({"train.lr": 0.2}),
    "the trial": lambda r: r.update(number=4),
    "the state": lambda r: r.update(state="won"),
    "a field, which is gone": lambda r: r.pop("numbers"),
    "a field too many": lambda r: r.update(accuracy=1.0),
    "the type of a field": lambda r: r.update(epochs="many"),
    "the type of the numbers": lambda r: r.update(numbers=[0.5]),
    "the stages": lambda r: r.update(stages=None),
}
ONLY_BY_CHECKSUM = {"a number", "the point"}  # of which nothing else tells


@pytest.fixture
def records(tmp_path: Path) -> Records:
    records = Records(Store(str(tmp_path / "store")), "0" * 64)
    records.write(RECORD)
    return records


def path_of(records: Records) -> Path:
    return Path(records.folder) / "trials" / "00003.json"


def same(found: TrialRecord | None) -> bool:
    return found is not None and repr(found) == repr(RECORD)  # nan is not equal to itself


def test_a_record_comes_back_as_it_was_written(records: Records) -> None:
    assert same(records.read(3))
    assert records.read(2) is None
    assert records.read(3, {"train.lr": 0.5}) is None


def test_a_record_of_an_older_raylab_is_read(records: Records) -> None:
    said = json.loads(path_of(records).read_text())
    del said[CHECKSUM]
    path_of(records).write_text(json.dumps(said))
    assert same(records.read(3))


@pytest.mark.parametrize(
    ("what", "kept"),
    [(what, "with its checksum") for what in CHANGES]
    + [(what, "without a checksum") for what in CHANGES if what not in ONLY_BY_CHECKSUM],
)
def test_a_changed_record_is_an_error_that_names_path_rule_and_remedy(what: str, kept: str, records: Records) -> None:
    said = json.loads(path_of(records).read_text())
    CHANGES[what](said)
    if kept == "without a checksum":
        del said[CHECKSUM]
    path_of(records).write_text(json.dumps(said))
    with pytest.raises(CorruptArtifact, match=rf"^{path_of(records)}: [^\n]+; remove it to have trial 3 run again"):
        records.read(3)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"number": 3}'])
def test_a_torn_record_is_an_error_and_not_an_absence(text: str, records: Records) -> None:
    path_of(records).write_text(text)
    with pytest.raises(CorruptArtifact, match="remove it to have trial 3 run again"):
        records.all(4)


def test_a_trial_whose_damaged_record_was_removed_finds_what_was_built_for_it(tmp_path: Path) -> None:
    prepared = sweeps.prepared(trials=2, final=None)
    first = run(prepared, sweeps.site(tmp_path))
    assert first is not None
    path = tmp_path / "store" / "sweeps" / prepared.key[:12] / "trials" / "00001.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(CorruptArtifact, match="trial 1 run again"):
        run(prepared, sweeps.site(tmp_path))
    before = {one: one.stat().st_mtime_ns for one in (tmp_path / "store").rglob("MANIFEST.json")}
    path.unlink()
    again = run(prepared, sweeps.site(tmp_path))
    assert again is not None
    assert [record.numbers for record in again.records] == [record.numbers for record in first.records]
    assert {one: one.stat().st_mtime_ns for one in (tmp_path / "store").rglob("MANIFEST.json")} == before
    settings = path.parent.parent / "sweep.json"
    settings.write_text(settings.read_text().replace("half", "test"))
    with pytest.raises(CorruptArtifact, match=r"sweep\.json: changed after it was written"):
        frame(Store(str(tmp_path / "store")), prepared.key)


def test_a_curve_that_was_changed_is_no_curve_and_one_of_an_older_raylab_is_read(tmp_path: Path) -> None:
    evaluation = toy.squares(toy.numbers(3))
    book = CurveCache(Store(str(tmp_path)), toy.numbers(4), evaluation, "accuracy")
    curve = [(0.5, 0.25, math.nan), (0.75, 0.5, 1.0)]
    book.write(curve)
    assert repr(book.read()) == repr(curve)
    path = Path(book.path)
    path.write_text(path.read_text().replace("0.75", "0.99"))
    assert book.read() == []
    path.write_text(json.dumps(curve))
    assert repr(book.read()) == repr(curve)
