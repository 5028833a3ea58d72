"""What is left where a cell cannot be built, or a result cannot be written: everything else, with the holes named."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import pytest
import toy
from counting_study import EXPERIMENT, Cell, Counted, plan, report
from pages import Page

from raylab import cli
from raylab.data import DataError
from raylab.engine import code, runner
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.objects import OtherCode
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.report.blocks import Report
from raylab.report.experiment import Experiment
from raylab.site import Site
from raylab.tracking import TrackerError


def ended(*argv: str) -> int:
    try:
        cli.run(EXPERIMENT, "Counts.", list(argv))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def home() -> Path:
    from raylab.site import home

    return Path(home())


def failed(cells: Mapping[str, Stage], store: Store, retry: bool = False) -> BuildFailed:
    with pytest.raises(BuildFailed) as error:
        runner.build(cells, store, InlineBackend(), toy.Recorder(), retry)
    return error.value


def starts(folder: Path) -> int:
    return int((folder / "started").read_text())


def test_what_was_built_and_why_the_rest_is_missing_are_told_by_cell(tmp_path: Path) -> None:
    store, fault = Store(str(tmp_path / "store")), toy.faulty("raise", tmp_path)
    cells = {
        "good": toy.numbers(3),
        "bad": fault,
        "after": toy.squares(fault),
        "later": toy.squares(toy.squares(fault)),
    }
    error = failed(cells, store)
    assert list(error.built) == ["good"]
    assert error.missing["bad"] == "ValueError: this task always fails"
    for name in ("after", "later"):
        assert error.missing[name] == f"needs {fault.label}, which failed: ValueError: this task always fails"


def test_a_failure_that_lasts_is_not_tried_again_until_code_or_inputs_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cells = Store(str(tmp_path / "store")), {"x": toy.faulty("raise", tmp_path)}
    assert "--retry" in str(failed(cells, store))
    again = failed(cells, store)
    assert starts(tmp_path) == 1
    assert again.missing["x"] == "ValueError: this task always fails (when it was tried before)"
    failed(cells, store, retry=True)
    assert starts(tmp_path) == 2
    monkeypatch.setattr(code, "digest", lambda: "another")
    failed(cells, store)
    assert starts(tmp_path) == 3
    failed({"x": toy.faulty("raise", tmp_path, "other inputs")}, store)
    assert starts(tmp_path) == 4


def test_a_shard_that_fails_for_good_is_remembered_too(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    cells = {"x": toy.squares(toy.numbers(30), broken=(1,))}
    failed(cells, store)
    reason = "shard 1: ValueError: these rows cannot be squared (when it was tried before)"
    assert failed(cells, store).missing["x"] == reason


@dataclass(frozen=True)
class OutOfDisk:
    """A task that fails for a reason of the machine's."""

    doing = ("changing", "data set")
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        del context
        raise OSError("no space left on device")


def test_a_failure_of_the_machine_is_tried_again(tmp_path: Path) -> None:
    store, cells = Store(str(tmp_path / "store")), {"x": Stage("full", 1, OutOfDisk(), {}, "full")}
    assert "Run the same command again" in str(failed(cells, store))
    assert failed(cells, store).missing["x"] == "OSError: no space left on device"


def test_a_store_that_cannot_be_tidied_hides_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store that went read-only refuses first is what is told, and the other cells are tried."""

    def refuse(_: Store, path: str, *__: object) -> None:
        if "attempt-1" in path or path.endswith("FAILURE.json"):
            raise StoreError(f"{path}: read-only")

    monkeypatch.setattr(Store, "delete", refuse)
    monkeypatch.setattr(Store, "put_json", refuse)
    cells = {name: toy.squares(toy.numbers(20), name=name, broken=broken) for name, broken in (("a", (0,)), ("b", ()))}
    with pytest.raises(BuildFailed, match="shard 0: ValueError: these rows cannot be squared") as failed:
        runner.build(cells, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    assert failed.value.built.keys() == {"b"}


@pytest.mark.usefixtures("site")
def test_a_failing_cell_leaves_a_page_a_table_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(f"folder={tmp_path}") == 1
    out, err = capsys.readouterr()
    assert "50.0 ± " in out
    assert "Not everything could be built: 1 of 3 results are missing" in out
    assert "ValueError: this task always fails" in err
    page = Page((home() / "reports" / "counting.html").read_text())
    assert "1 result: ValueError: this task always fails" in page.text


@pytest.mark.usefixtures("site")
def test_a_study_without_data_is_named_beside_those_that_have_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def named(config: Counted) -> Mapping[Cell, Stage]:
        if config.study != "nothing":
            return plan(config)
        return {Cell("data", 0): toy.faulty("raise", tmp_path), Cell("numbers", 0): toy.numbers(3)}

    (tmp_path / "good.yaml").write_text("study: good\n")
    (tmp_path / "bad.yaml").write_text("study: nothing\n")
    with pytest.raises(SystemExit) as stop:
        cli.run(replace(EXPERIMENT, plan=named), "Counts.", [str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml")])
    assert stop.value.code == 1
    page = Page((home() / "reports" / "counting.html").read_text()).text
    assert "Studies of which there is nothing to show" in page
    for text in (page, capsys.readouterr().out):
        assert re.search(r"nothing \[\w+\]: 1 result: ValueError: this task always fails", text)
        assert "50.0" in text


@pytest.mark.usefixtures("site")
def test_a_report_that_cannot_be_made_costs_no_other_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is never taken for one that was made: neither kept nor published, exit code 1 each time."""

    def broken(built: Built[Counted, Cell]) -> Report:
        if built.config.study == "broken":
            raise KeyError("a column")
        return report(built)

    (tmp_path / "good.yaml").write_text("study: good\ncount: 4\n")
    (tmp_path / "bad.yaml").write_text("study: broken\n")
    for _ in range(2):
        with pytest.raises(SystemExit) as stop:
            cli.run(
                replace(EXPERIMENT, report=broken), "Counts.", [str(tmp_path / "bad.yaml"), str(tmp_path / "good.yaml")]
            )
        assert stop.value.code == 1
        out, err = capsys.readouterr()
        assert "broken: The report of this study could not be made, which is a defect of raylab: KeyError" in err
        assert "Traceback" in err
        page = Page((home() / "reports" / "counting.html").read_text()).text
        for text in (page, out):
            assert re.search(r"KeyError:\s'a\scolumn'", text)
            assert "50.0" in text


@pytest.mark.usefixtures("site")
def test_tables_lie_beside_the_page_which_says_where() -> None:
    assert ended() == 0
    reports = home() / "reports"
    (table,) = reports.rglob("*.csv")
    assert table.name == "counts.csv"
    assert table.read_text().startswith("Of,Share,Share se")
    folder = table.parent.relative_to(reports)
    assert str(folder) in Page((reports / "counting.html").read_text()).text


@pytest.mark.usefixtures("site")
def test_where_nobody_looks_nothing_is_measured_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[object] = []

    def measure(built: Built[Counted, Cell]) -> Built[Counted, Cell]:
        measured.append(built)
        return built

    monkeypatch.setattr("raylab.tracking.live.PERIOD", 0.0)
    monkeypatch.setattr("raylab.tracking.live.SHARE", 0)
    cli.run(replace(EXPERIMENT, measure=measure), "Counts.", [])
    assert len(measured) == 1


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("there", [{}, {Cell("data", 0): toy.numbers(3)}], ids=["nothing", "data alone"])
def test_where_nothing_could_be_built_nothing_is_shown(tmp_path: Path, there: Mapping[Cell, Stage]) -> None:
    def nothing(config: Counted) -> Mapping[Cell, Stage]:
        del config
        return {**there, Cell("faulty", 0): toy.faulty("raise", tmp_path)}

    only = Experiment(
        name="counting", title="", method="", lead="", how_to_read="", source="", config=Counted,
        plan=nothing,
        measure=lambda built: built, report=report,
    )  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        cli.run(only, "Counts.", [])
    assert stop.value.code == 1
    assert not (home() / "reports" / "counting.html").exists()


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("broken", ["page", "tracker", "terminal"])
def test_each_way_of_showing_fails_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    published = []

    def publish(*_: Any) -> None:
        if broken == "tracker":
            raise TrackerError("no space left")
        published.append(True)

    def keep(*_: Any) -> str:
        raise StoreError("no space left")

    def write(*_: Any, file: TextIO | None = None, **__: Any) -> None:
        if file is None:
            raise OSError("no space left")

    monkeypatch.setattr(cli, "publish", publish)
    if broken == "page":
        monkeypatch.setattr(Site, "keep_report", keep)
    if broken == "terminal":
        monkeypatch.setattr(cli, "print", write, raising=False)
    assert ended() == 1
    out, err = capsys.readouterr()
    if broken != "terminal":  # its print is that of errors too
        assert f"the {broken}: no space left" in err
        assert "50.0 ± " in out
    assert bool(published) == (broken != "tracker")
    assert (home() / "reports" / "counting.html").exists() == (broken != "page")


def test_a_terminal_that_knows_ascii_alone_gets_likenesses(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_ = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_, encoding="ascii"))
    cli._write_anywhere()
    print("73.4 ± 1.2 %, −2 → 3, “P1” ∇", flush=True)
    assert bytes_.getvalue() == b'73.4 +- 1.2 %, -2 -> 3, "P1" ?\n'


def test_the_seconds_of_an_artifact_are_those_of_its_own_shards(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    slow = toy.squares(toy.numbers(30), batch_rows=10, pause=0.05, name="slow")
    quick = toy.squares(toy.numbers(31), batch_rows=10, name="quick")
    made = runner.build({"slow": slow, "quick": quick}, store, InlineBackend(), toy.Recorder())
    seconds = {name: artifact.manifest["provenance"]["seconds"] for name, artifact in made.items()}
    assert seconds["slow"] == pytest.approx(sum(part.seconds for part in made["slow"].parts))
    assert seconds["slow"] >= 0.15
    assert seconds["quick"] < 0.15  # though its round began before the slow one's shards


def test_a_preview_tells_how_long_from_what_earlier_artifacts_took(tmp_path: Path) -> None:
    from raylab.report.terminal import preview

    store = Store(str(tmp_path))
    assert "not known" in preview({"x": toy.numbers(3)}, store)
    compute = Compute(shard_rows=10, batch_rows=10)
    first, more = toy.numbers(30), toy.numbers(300)
    made = Stage("squares", 1, toy.SquareBody(compute, "made", pause=0.2), {"data": first}, passes=30)
    runner.build({"x": made}, store, InlineBackend(), toy.Recorder())
    wanted = Stage("squares", 1, toy.SquareBody(compute, "wanted", pause=0.2), {"data": more}, passes=3000)
    cells = {"x": wanted, "y": toy.faulty("raise", tmp_path)}
    (seconds,) = re.findall(r"About (\d+) s of computing on 2 CPUs", preview(cells, store, 2))
    assert 30 <= int(seconds) <= 60  # 300 times what three shards of .2 s took, halved
    assert "without 1 artifacts of kinds that were never built here" in " ".join(preview(cells, store, 2).split())


@dataclass(frozen=True)
class AbsentFiles:
    """A task whose files are not there today."""

    doing = ("reading", "data set")
    in_driver = False
    kind: str

    def run(self, context: TaskContext) -> Metrics:
        del context
        raise {"DataError": DataError, "OtherCode": OtherCode}[self.kind]("no such file")


@pytest.mark.parametrize("kind", ["DataError", "OtherCode"])
def test_files_and_modules_that_are_absent_may_come_back(tmp_path: Path, kind: str) -> None:
    store, cells = Store(str(tmp_path / "store")), {"x": Stage("absent", 1, AbsentFiles(kind), {}, "absent")}
    assert "Run the same command again" in str(failed(cells, store))
    assert failed(cells, store).missing["x"] == f"{kind}: no such file"


@dataclass(frozen=True)
class BadSum(toy.SquareBody):
    """Squares whose metrics cannot be computed."""

    def summarise(self, artifact: Artifact) -> Metrics:
        raise ValueError(f"no metrics of {artifact.rows} rows")


def test_metrics_that_fail_are_a_failure_of_their_stage_alone(tmp_path: Path) -> None:
    store, compute = Store(str(tmp_path / "store")), Compute(shard_rows=10, batch_rows=10)
    bad = Stage("squares", 1, BadSum(compute), {"data": toy.numbers(20)}, "bad")
    error = failed({"bad": bad, "good": toy.squares(toy.numbers(30))}, store)
    assert error.missing == {"bad": "ValueError: no metrics of 20 rows"}
    assert list(error.built) == ["good"]


class FullLater(toy.FaultyBody):
    """The same, on a machine that is out of disk today."""

    def run(self, context: TaskContext) -> Metrics:
        return OutOfDisk().run(context)


def test_a_retry_that_fails_for_another_reason_is_not_the_old_failure(tmp_path: Path) -> None:
    store, stage = Store(str(tmp_path / "store")), toy.faulty("raise", tmp_path)
    failed({"x": stage}, store)
    full = Stage(stage.kind, stage.version, FullLater(**vars(stage.config)), {}, stage.name)
    assert full.key == stage.key
    failed({"x": full}, store, retry=True)
    assert store.failure(stage, code.digest()) is None
