"""Tables in a terminal, and the preview of a plan."""

from __future__ import annotations

from pathlib import Path

import runs
import toy

from raylab.engine import runner
from raylab.engine.stage import closure
from raylab.engine.store import Store
from raylab.experiments.transfer import Matrix, plan
from raylab.report.blocks import Report, Verdict, Verdicts
from raylab.report.read import in_brief, in_todays_words
from raylab.report.terminal import as_text, preview, table
from raylab.report.values import Badge


def test_a_table_is_aligned_and_what_does_not_fit_goes_below() -> None:
    assert table(["", "a"], [["x", "1.0"], ["long", "10.0"]]).splitlines() == [
        "         a",
        "x      1.0",
        "long  10.0",
    ]
    wide = table(["row", *(f"column{i}" for i in range(9))], [["x", *("1" * 9)]], width=40)
    assert max(map(len, wide.splitlines())) <= 40
    assert wide.count("row") == 3
    assert all(f"column{i}" in wide for i in range(9))


def counts_by_kind(said: str) -> dict[str, tuple[int, int]]:
    """All and to build, as the preview's table has them."""
    table = said.split("\n\n")[1].splitlines()[1:]
    return {kind: (int(total), int(lacking)) for kind, total, lacking, *_ in (line.split() for line in table)}


def rounds_of(said: str) -> list[str]:
    lines = said.splitlines()
    return lines[lines.index("Rounds, one start of Ray each:") + 1 : -2]


def counts_in_rounds(said: str) -> int:
    return sum(int(part.split()[0]) for line in rounds_of(said) for part in line.split(": ")[1].split(", "))


def test_a_preview_counts_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    cells = plan(runs.SEEFAR)
    store = Store(str(tmp_path / "store"))
    said = preview(cells, store)
    stages = closure(cells.values())
    assert f"{len(set(cells.values()))} results from {len(stages)} stages; {len(stages)} to build" in said
    assert store.uri in said
    for kind, (total, lacking) in counts_by_kind(said).items():
        assert total == lacking == sum(stage.kind == kind for stage in stages)
    assert not (tmp_path / "store").exists()


def test_a_preview_after_a_part_of_the_work_tells_only_the_rest(tmp_path: Path) -> None:
    cells, store = plan(runs.SEEFAR), Store(str(tmp_path / "store"))
    some = {cell: stage for cell, stage in cells.items() if cell.role in ("data", "standard")}
    runner.build(some, store, runner.InlineBackend(), toy.Recorder())
    left = runner.missing(cells.values(), store)
    said = preview(cells, store)
    assert f"; {len(left)} to build" in said
    assert counts_in_rounds(said) == len(left)
    for kind, (_, lacking) in counts_by_kind(said).items():
        assert lacking == sum(stage.kind == kind for stage in left.values())
    work = sum(stage.passes for stage in left.values())
    assert f"about {work / 1000:.3g} thousand image passes" in said


def test_a_preview_of_finished_work_says_so(report_store: Store, digits: Matrix) -> None:
    said = preview(plan(digits.config), report_store)
    assert "all are there" in said
    assert "Rounds" not in said


def test_rounds_are_told_in_order(tmp_path: Path) -> None:
    rounds = rounds_of(preview(plan(runs.SEEFAR), Store(str(tmp_path))))
    assert [line.split(":")[0].split()[1] for line in rounds] == ["tasks", "tasks", "maps", "tasks", "maps"]


def test_warnings_of_older_manifests_are_told_in_todays_words() -> None:
    old = "adversarial training taught nothing that withstands its attack: epoch 3 ended at 0.0% under attack"
    today = "adversarial training reached no robust accuracy: epoch 3 ended at 0.0% under attack"
    assert in_todays_words(old) == in_todays_words(today) == today
    assert in_brief(today) == "adversarial training reached no robust accuracy"


def test_a_lone_verdict_that_is_the_answer_is_said_once_in_the_short_form() -> None:
    of = Verdict("mlp", Badge("good", "shown"), "It is shown.")
    other = Verdict("cnn", Badge("open", "not shown"), "It is not.")
    for verdicts, times in (((of,), 1), ((of, other), 1), ((other,), 1)):
        block = Verdicts("What the numbers allow.", verdicts)
        said = as_text(Report("Title", of, (block,)))
        assert said.count("It is shown.") == times
        assert ("What the numbers allow." in said) == (verdicts != (of,))
    assert as_text(Report("Title", of, (Verdicts("All.", (of,)),)), full=True).count("It is shown.") == 2
