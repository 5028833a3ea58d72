"""A report that is kept is the one that would be made, or it is made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy

from raylab.config import Config
from raylab.engine import code
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend, build
from raylab.engine.store import Store
from raylab.engine.study import AnyBuilt, Built
from raylab.report import kept
from raylab.report.experiment import Results
from raylab.tracking import DataRef, Publication, Record


class Given(Config):
    study: str = "x"


class Counted:
    """As an experiment, whose every report is numbered."""

    name = "counted"

    def __init__(self) -> None:
        self.made = 0

    def results(self, built: Sequence[AnyBuilt]) -> Results:
        self.made += 1
        rows = sum(artifact.rows for one in built for artifact in one.artifacts.values())
        record = Record(
            "key", "±", {"whole": 1, "number": 1.0, "yes": True, "text": "1"}, {"rows": float(rows), "tiny": 1e-300},
            {"loss": (0.1, 0.2)}, (DataRef("d", "0", "/d"),), {"tag": "t"}, {"place": "/p"}, "note",
        )  # fmt: skip
        child = replace(record, key=f"made {self.made}")
        files = {"report.txt": "→ full".encode(), "figure.svg": bytes(range(256))}
        tables = {"x/tables/a.csv": b"a,b\r\n1,2\r\n"}
        return Results(
            "<p>page</p>", tables, ("absent",), ("text",), (Publication(record, (child,), files, "a"),), ("",), ((),)
        )


@pytest.fixture
def built(tmp_path: Path) -> AnyBuilt:
    stages = {"a": toy.numbers(3, "a"), "b": toy.numbers(4, "b")}
    return Built(Given(), "k" * 64, build(stages, Store(str(tmp_path / "store")), InlineBackend(), toy.Recorder()))


def results(experiment: Any, built: AnyBuilt, folder: Path) -> Results:
    return kept.results(experiment, [built], folder)


def test_it_is_made_once_and_every_type_and_byte_comes_back(built: AnyBuilt, tmp_path: Path) -> None:
    experiment = Counted()
    first, second = results(experiment, built, tmp_path), results(experiment, built, tmp_path)
    assert experiment.made == 1
    assert repr(second) == repr(first)  # which tells 1 from 1.0 and True
    assert second == Counted().results([built])._replace(evidence=())


def _changed(artifact: Artifact, **provenance: object) -> Artifact:
    origin: Mapping[str, Any] = artifact.manifest["provenance"]
    return replace(artifact, manifest={**artifact.manifest, "provenance": {**origin, **provenance}})


CHANGES: Mapping[str, Callable[[AnyBuilt], AnyBuilt]] = {
    "config": lambda built: replace(built, config=Given(study="y")),
    "machine": lambda built: replace(
        built, artifacts={cell: _changed(one, machine="other") for cell, one in built.artifacts.items()}
    ),
    "cells": lambda built: replace(built, artifacts=dict(zip("ba", built.artifacts.values(), strict=True))),
    "place": lambda built: replace(
        built, artifacts={cell: replace(one, folder="/moved") for cell, one in built.artifacts.items()}
    ),
    "hole": lambda built: replace(built, artifacts={"a": built.artifacts["a"]}, missing={"b": "it failed"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_it_is_made_again_when_anything_changes_that_it_may_say(what: str, built: AnyBuilt, tmp_path: Path) -> None:
    experiment = Counted()
    results(experiment, built, tmp_path)
    found = results(experiment, CHANGES[what](built), tmp_path)
    assert found.publications[0].children[0].key == "made 2"


@pytest.mark.parametrize("where", ["code", "matplotlib"])
def test_it_is_made_again_by_other_code(
    where: str, built: AnyBuilt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = Counted()
    results(experiment, built, tmp_path)
    if where == "code":
        monkeypatch.setattr(code, "digest", lambda: "other")
    else:
        monkeypatch.setattr(kept.metadata, "version", lambda name: f"another {name}")
    results(experiment, built, tmp_path)
    assert experiment.made == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data.replace(b"page", b"pagf"), lambda _: b"{}"]
)
def test_a_damaged_one_is_made_again_and_mended(
    damage: Callable[[bytes], bytes], built: AnyBuilt, tmp_path: Path
) -> None:
    experiment = Counted()
    results(experiment, built, tmp_path / "reports")
    (path,) = (tmp_path / "reports").iterdir()
    path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        assert results(experiment, built, tmp_path / "reports").publications[0].children[0].key == "made 2"


def test_where_nothing_can_be_kept_there_is_a_report(built: AnyBuilt, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    assert results(Counted(), built, tmp_path / "reports").page == "<p>page</p>"
