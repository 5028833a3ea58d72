"""The table of measured rows in docs/results.md: never stale, never by hand, and no contradiction left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from scoreboard_lines import ABOUT, MADE, STUDY, evidence, lines

from raylab.report.per_seed import bounds_of
from raylab.scoreboard import readme
from raylab.scoreboard.readme import (
    BEGIN,
    END,
    HEADS,
    Entry,
    as_csv,
    block,
    entries,
    judged,
    merged,
    read,
    renewed,
    ruled,
)
from raylab.scoreboard.rows import all_rows
from raylab.scoreboard.table import is_target
from raylab.scoreboard.verdict import WORDS

ROOT = Path(__file__).parents[2]
VERDICT = HEADS.index("verdict")
README, MEASURED = ROOT / readme.README, ROOT / readme.MEASURED


@pytest.fixture(scope="module")
def kept() -> list[Entry]:
    return merged([], entries(lines(), MADE))


def stale(kept: list[Entry]) -> list[tuple[str, str]]:
    """Rows and runs whose verdict is not what the rule gives today for all of their numbers."""
    return list(dict.fromkeys((one.row, one.on) for one, now in zip(kept, ruled(kept), strict=True) if one != now))


def test_the_readme_shows_what_was_measured_and_nothing_else() -> None:
    """After a measurement, or a change of a rule or a bound: `make readme`."""
    text = README.read_text(encoding="utf-8")
    if not MEASURED.exists():
        assert BEGIN not in text, f"docs/results.md has a table of measured rows, but there is no {readme.MEASURED}"
        assert END not in text
        return
    found = read(MEASURED)
    assert renewed(text, block(found)) == text, "docs/results.md is stale: make readme"
    assert stale(found) == [], f"{readme.MEASURED} is stale: make readme"
    assert readme.as_csv(merged([], found)) == MEASURED.read_text(encoding="utf-8")


def test_verdicts_come_out_of_the_kept_numbers_as_they_did_of_the_results(kept: list[Entry]) -> None:
    assert len(kept) > 20
    assert stale(kept) == []
    assert {one.verdict for one in kept} == {"reproduced", "same_direction", "inconclusive", "contradicted"}
    again = judged(kept)
    for line in lines():
        for run in line.runs:
            now = again[str(line.row.row), run.experiment, run.study, run.on, run.protocol]
            assert (now.code, now.protocol, now.undecided) == (run.code, run.protocol, run.undecided)
            assert [one.bounds for one in now.measured] == [
                pytest.approx(one.bounds, rel=1e-8, nan_ok=True) for one in run.measured
            ]


@pytest.mark.parametrize(
    ("verdict", "name", "changed"),
    [
        ("inconclusive", "above relabelled", {"ours": "0.3"}),
        ("inconclusive", "above relabelled", {"undecided": ""}),
        ("inconclusive", "clean", {"as_published": "yes"}),
        ("contradicted", "above clean", {"ours": "-0.2"}),
        ("contradicted", "above clean", {"se": "1"}),
        ("reproduced", "closed form", {"ours": "3.4"}),
        ("reproduced", "D_det, η", {"seeds": "1"}),
    ],
)
def test_what_somebody_changed_by_hand_is_seen(
    kept: list[Entry], verdict: str, name: str, changed: dict[str, str]
) -> None:
    """A number, an excuse or a protocol under a verdict that does not follow from it."""
    place = next(i for i, one in enumerate(kept) if (one.verdict, one.quantity) == (verdict, name))
    other = [*kept]
    other[place] = replace(kept[place], **changed)
    assert stale(other) == [(kept[place].row, kept[place].on)]


@pytest.mark.parametrize("code", WORDS)
def test_a_verdict_by_hand_is_seen_whatever_it_says(kept: list[Entry], code: str) -> None:
    for one in kept:
        other = [replace(e, verdict=code) if e == one else e for e in kept]
        assert bool(stale(other)) is (one.verdict != code)


def test_a_bound_that_changes_makes_the_table_stale(kept: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    before = block(kept)
    row = all_rows()[45]
    high = row.published["rand"].model_copy(update={"value": 0.45, "low": 0.4, "high": 0.6})
    published = {**row.published, "rand": high}
    rows = (*all_rows()[:45], row.model_copy(update={"published": published}))
    monkeypatch.setattr(readme, "all_rows", lambda: rows)
    assert stale(kept) == [("46", "Digits")]
    assert block(kept) != before


def test_a_number_that_no_row_asks_for_is_refused(kept: list[Entry]) -> None:
    with pytest.raises(ValueError, match="row 34: one of"):
        judged([replace(kept[0], row="34", quantity="other")])


def test_what_is_written_is_read_again(kept: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(as_csv(entries(lines(), MADE)))
    assert merged([], read(path)) == kept
    path.write_text(as_csv(merged(read(path), read(path))))
    assert read(path) == kept
    path.write_text("row,title\n1,x\n")
    with pytest.raises(ValueError, match=r"columns row, quantity, ours, se, .*, got row, title; remove it"):
        read(path)


def test_a_newer_measurement_of_the_same_row_on_the_same_thing_takes_the_place_of_the_older(kept: list[Entry]) -> None:
    later = ABOUT._replace(date="2027-01-01", commit="f" * 40)
    again = list(entries(lines(evidence(4, "det above chance", -0.2)), {STUDY: later}))
    found = merged(kept, again)
    assert len(found) == len(kept)
    (entry,) = [entry for entry in found if entry.row == "4"]
    assert (entry.verdict, entry.date, entry.commit) == ("inconclusive", "2027-01-01", "f" * 12)
    assert [entry for entry in found if entry.row != "4"] == [entry for entry in kept if entry.row != "4"]


def test_on_another_thing_it_stands_beside_it_in_the_order_of_rows(kept: list[Entry]) -> None:
    found = merged(kept, entries(lines(evidence(4, "det above chance", -0.2, on="See-Far")), MADE))
    assert len(found) == len(kept) + 1
    assert [int(entry.row) for entry in found] == sorted(int(entry.row) for entry in found)


def table(text: str) -> list[list[str]]:
    """Cells of the rows of a Markdown table."""
    return [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines() if line.startswith("| ")][1:]


def test_the_block_has_a_line_for_every_measured_row(kept: list[Entry]) -> None:
    shown = table(block(kept))
    rows = [cells[0].removeprefix("| ") for cells in shown]
    assert list(dict.fromkeys(rows)) == list(dict.fromkeys(entry.row for entry in kept))
    assert {len(cells) for cells in shown} == {len(HEADS)}
    assert f"{len(set(rows))} of {len([*filter(is_target, all_rows())])} rows are measured here" in block(kept)


def test_the_readme_counts_as_the_table_does() -> None:
    (counted,) = re.findall(r"rows are measured here, at some size: (.*)\.\n", README.read_text())
    front = " ".join((ROOT / "README.md").read_text().split())
    assert (
        f"Of 45 published [results](docs/results.md), most at smaller sizes here: {counted}, 5 not measured." in front
    )


def test_a_contradiction_stands_beside_what_points_the_other_way(kept: list[Entry]) -> None:
    said = [cells[VERDICT] for cells in table(block(kept)) if cells[0] == "| 3"]
    assert said == ["**runs disagree**", "**contradicted**"]
    away = [entry for entry in kept if entry.row == "4"]
    assert "**contradicted**" in block(away)


def test_a_better_run_takes_the_line_of_a_row(kept: list[Entry]) -> None:
    full = evidence(1, "clean", 0.7, on="CIFAR-10, resnet50", protocol="")
    found = merged(kept, entries(lines(full), MADE))
    (cells,) = [cells for cells in table(block(found)) if cells[0] == "| 1"]
    assert cells[HEADS.index("ours ± standard error")].startswith("70.0 ± 0.1 %")
    assert cells[HEADS.index("measured on")] == "CIFAR-10, resnet50 (as published)"


def test_every_line_says_with_which_code_on_what_and_when(kept: list[Entry]) -> None:
    gpu = ABOUT._replace(hardware="one GPU")
    later = merged(kept, entries(lines(evidence(10, "robust above D_NR", 0.2)), {STUDY: gpu}))
    text = block(later)
    assert "Made: a, `0123456789ab`, two CPU cores, 2026-11-21; b, `0123456789ab`, one GPU, 2026-11-21." in text
    assert [cells[-1] for cells in table(text) if cells[0] == "| 10"] == ["b |"]
    assert {cells[-1] for cells in table(text) if cells[0] != "| 10"} == {"a |"}


def test_studies_of_one_experiment_have_their_own_provenance() -> None:
    """A suite in parts was not all made by one commit."""
    other = evidence(10, "robust above D_NR", 0.2)._replace(study="cifar10")
    made = {**MADE, (STUDY[0], "cifar10"): ABOUT._replace(commit="f" * 40)}
    found = merged([], entries(lines(other, evidence(10, "robust above D_NR", 0.3)), made))
    assert [(one.study, one.commit) for one in found] == [("cifar10", "f" * 12), ("embedded", "0123456789ab")]


def test_an_interval_that_was_kept_is_believed_however_wide_its_number_errs(kept: list[Entry]) -> None:
    """Of two seeds .5 and .9 the interval is [0, 1], narrower than 1.9 standard errors: bounds cut it."""
    one = next(one for one in kept if one.quantity == "clean")
    two = replace(one, ours="0.7", se="0.2", seeds="2", interval_low="0", interval_high="1")
    wide = replace(two, ours="0.5", se="0.45")
    assert two.measured.evidence.ours.interval == wide.measured.evidence.ours.interval == (0.0, 1.0)
    assert wide.measured.evidence.ours.mean == 0.5
    assert replace(wide, interval_low="", interval_high="").measured.evidence.ours.interval is None


def test_a_line_without_an_interval_has_students_within_what_its_unit_allows(kept: list[Entry]) -> None:
    share, points = (next(one for one in kept if one.quantity == name) for name in ("clean", "above relabelled"))
    alone = {"se": "0.3", "seeds": "2", "interval_low": "", "interval_high": ""}
    assert bounds_of(replace(share, ours="0.5", **alone).measured.evidence.ours) == (0.0, 1.0)
    assert bounds_of(replace(points, ours="0.5", **alone).measured.evidence.ours) == (-1.0, 1.0)


def test_an_interval_beside_its_number_is_refused(kept: list[Entry]) -> None:
    one = next(one for one in kept if one.quantity == "clean")
    moved = replace(one, ours="0.7", se="0.01", seeds="3", interval_low="0.1", interval_high="0.2")
    with pytest.raises(ValueError, match=r"row 1, clean: interval_low and interval_high hold the mean, got 0.1 to 0.2"):
        _ = moved.measured


def test_only_what_stands_between_the_marks_is_written_anew(kept: list[Entry]) -> None:
    text = f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    new = renewed(text, block(kept))
    assert new == f"before\n\n{block(kept)}\n\nafter\n"
    assert renewed(new, block(kept)) == new
    for wrong in ("nothing", f"{BEGIN} only", f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"):
        with pytest.raises(ValueError, match="put these two lines where the table is to stand"):
            renewed(wrong, block(kept))


def test_the_command_renews_the_readme_or_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is none yet"):
        readme.main([])
    with pytest.raises(SystemExit, match="No such file"):
        readme.main(["absent.csv"])
    Path("results.csv").write_text(as_csv(entries(lines(), MADE)))
    Path("docs").mkdir()
    readme.README.write_text("no marks")
    with pytest.raises(SystemExit, match="put these two lines"):
        readme.main(["results.csv"])
    readme.README.write_text(f"{BEGIN}\n{END}\n")
    readme.main(["results.csv"])
    Path("results.csv").unlink()
    readme.main([])  # what was merged is kept
    assert all(f"**{WORDS[code]}**" in readme.README.read_text() for code in ("reproduced", "contradicted"))
    written = readme.MEASURED.read_text()
    readme.MEASURED.write_text(written.replace(",contradicted,", ",reproduced,"))
    readme.main([])  # verdicts are reached anew
    assert readme.MEASURED.read_text() == written


def test_a_bar_in_a_name_does_not_end_a_cell() -> None:
    found = merged([], entries(lines(evidence(1, "clean", 0.7, on="a | b", protocol="")), MADE))
    assert "a \\| b" in block(found)
