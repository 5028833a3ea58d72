"""The scoreboard as text and CSV, and what stands in its cells."""

from __future__ import annotations

import csv
import io
import math

import pytest
from scoreboard_lines import every_verdict, evidence, line, lines

from raylab.core.statistics import Estimate
from raylab.report.terminal import WIDTH
from raylab.scoreboard.cells import asked, criterion, exact, interval, ours, said, tolerance
from raylab.scoreboard.rows import Criterion, Published, all_rows
from raylab.scoreboard.table import as_csv, counts, foremost, headline, unmeasured, words
from raylab.scoreboard.text import as_text
from raylab.scoreboard.verdict import MEANINGS, WORDS, Measured, scored


@pytest.mark.parametrize(
    ("estimate", "unit", "shown"),
    [
        (Estimate(0.6104, 0.0123, 900, 3), "share", "61.0 ± 1.2 %"),
        (Estimate(0.0014, 0.0002, 900, 3), "share", "0.14 ± 0.02 %"),
        (Estimate(-0.17, 0.02, 900, 3), "points", "−17.0 ± 2.0 points"),
        (Estimate(-0.0001, 0.02, 900, 3), "points", "0.0 ± 2.0 points"),
        (Estimate(0.5, math.nan, 900, 1), "share", "50.0 %"),
        (Estimate(20.8251, 0.4123, 40, 40), "number", "20.83 ± 0.41"),
        (Estimate(2081.2, 41.0, 40, 40), "number", "2081 ± 41"),
        (Estimate(3.3061224, 0.0, 0, 1), "number", "3.3061224"),
        (Estimate(3.1e-6, 0.0, 0, 1), "number", "3.1e−06"),
    ],
)
def test_numbers_have_as_many_digits_as_their_error_knows(estimate: Estimate, unit: str, shown: str) -> None:
    assert ours(estimate, unit) == shown


def test_targets_have_the_digits_that_were_published() -> None:
    assert exact(0.9525, "share") == "95.25 %"
    assert exact(0.279, "share") == "27.9 %"  # 100 × 0.279 is 27.900000000000002
    assert tolerance(Published(value=0.035, low=-0.02, high=0.15, unit="points")) == "−2 to 15 points"
    assert criterion(Criterion(at_least=0, sigmas=5, unit="points")) == "≥ 0 points by 5 standard errors"
    assert criterion(Criterion(at_most=0.05)) == "≤ 5 %"
    both = asked(Published(value=0.497, low=0.437, high=0.557), Criterion(at_least=0.2))
    assert both == "49.7 % (43.7 to 55.7 %); criterion ≥ 20 %"


def only(*found: object) -> Measured:
    return line(*found).runs[0].measured[0]  # type: ignore[arg-type]


def test_an_interval_is_in_the_unit_of_its_number() -> None:
    assert interval(only(evidence(2, "clean", 0.4, 0.01))) == "35.7 to 44.3 %"
    assert interval(only(evidence(2, "clean", 0.4, 0.01, seeds=1))) == "not known of one seed"
    assert interval(only(evidence(34, "closed form", 3.3, 0.0, n=0, seeds=1, protocol=""))) == "–"
    assert interval(only(evidence(15, "Spearman", 0.7, math.nan, bounds=(-0.1, 0.95)))) == "−0.1 to 0.95"


def test_what_is_said_of_a_number_follows_from_its_bounds() -> None:
    def told(name: str, mean: float, **more: object) -> list[tuple[str, str]]:
        return list(said(only(evidence(2, name, mean, 0.01, **more))))  # type: ignore[arg-type]

    assert told("clean", 0.44) == [("none", "another protocol")]
    assert told("clean", 0.44, protocol="") == [("good", "within tolerance")]
    assert told("clean", 0.5, protocol="") == [("open", "across a bound of the tolerance")]
    assert told("clean", 0.9, protocol="") == [("bad", "outside tolerance")]
    assert told("above chance", 0.2) == [("good", "criterion met")]
    assert told("above chance", 0.0) == [("open", "criterion undecided")]
    assert told("above chance", -0.2) == [("bad", "criterion failed")]
    assert told("above chance", -0.2, undecided="weak") == [("open", "criterion failed, which says nothing here")]
    student = only(evidence(18, "student", 0.3, 0.001, protocol=""))
    assert list(said(student)) == [("bad", "outside tolerance"), ("good", "criterion met")]


def test_a_bad_word_is_said_in_contradicted_runs_and_nowhere_else() -> None:
    for one in lines():
        for run in one.runs:
            bad = any(look == "bad" for m in run.measured for look, _ in said(m))
            assert bad is (run.code == "contradicted"), (one.row.row, run.on)


def test_the_run_that_speaks_for_a_row_is_of_the_published_protocol_and_then_the_better_one() -> None:
    small = evidence(3, "above clean", -0.2, on="small")
    nothing = evidence(3, "above clean", 0.0, on="nothing")
    away = evidence(3, "above clean", 0.2, on="away")
    full = evidence(3, "relabelled", 0.162, on="full", protocol="")

    def chosen(*found: object) -> list[str]:
        return [run.on for run in foremost(line(*found))]  # type: ignore[arg-type]

    assert chosen(small, full) == ["full"]
    assert chosen(small, full._replace(ours=Estimate(0.22, 0.01, 900, 3))) == ["full"]  # across a bound
    assert chosen(nothing, small) == ["small"]
    assert chosen(small, small._replace(on="later")) == ["small"]
    assert chosen(away) == ["away"]
    photographs = small._replace(on="CIFAR-10 (JPEG), resnet9_w16")
    assert chosen(small, photographs) == [photographs.on]
    assert chosen(small, photographs._replace(on="CIFAR-10.1, mlp")) == ["small"]  # not the row's data
    assert chosen(small, photographs._replace(remark="a student of its leakage-only set reaches 25.5 %")) == ["small"]
    assert chosen(small, photographs._replace(ours=nothing.ours)) == ["small"]
    assert foremost(scored([])[2]) == ()


def test_a_run_that_contradicts_is_never_left_out() -> None:
    small = evidence(2, "above chance", 0.2, on="small")
    away = evidence(2, "above chance", -0.2, on="away")
    full = evidence(2, "clean", 0.44, on="full", protocol="")
    for found in ([small, away], [away, small], [full, away], [full, small, away]):
        assert any(run.code == "contradicted" for run in foremost(line(*found)))


def test_the_number_that_stands_for_a_run_is_the_one_that_decides() -> None:
    clean = evidence(2, "clean", 0.3)
    for mean, undecided, expected in (
        (0.2, "", "above chance"),  # the first criterion that is met
        (0.0, "", "above relabelled"),
        (-0.2, "", "above relabelled"),
        (-0.2, "weak", "above relabelled"),
    ):
        found = [clean, evidence(2, "above chance", 0.2), evidence(2, "above relabelled", mean, undecided=undecided)]
        assert headline(line(*found).runs[0]).evidence.name == expected


def test_every_row_is_counted_once_and_the_quotation_not_at_all() -> None:
    found = counts(lines())
    assert sum(map(len, found.values())) == len(all_rows()) - 1  # row 26
    assert set(found) == {
        "reproduced",
        "same_direction",
        "inconclusive",
        "contradicted",
        "disagree",
        "not_run",
    }
    assert words(lines()[25]) == "not a target"
    assert words(lines()[4]) == "not run"


def test_the_text_has_a_line_for_every_row_and_fits_a_terminal() -> None:
    text = as_text(lines())
    assert max(map(len, text.splitlines())) <= WIDTH
    table = text.split("\n\n")[1].splitlines()
    assert [text.split()[0] for text in table[1:] if text[:2].strip()] == [str(one.row) for one in all_rows()]
    assert [text.strip().split("  ")[0] for text in table if not text[:2].strip()] == ["target", "contradicted"]
    row3 = next(place for place, text in enumerate(table) if text.startswith(" 3"))
    assert "runs disagree" in table[row3]
    assert "contradicted" in table[row3 + 1]
    assert all(word in text for word in WORDS.values())


def test_the_text_names_every_number_that_contradicts_with_what_was_asked() -> None:
    text = " ".join(as_text(lines()).split())
    assert "Against what was published" in text
    assert "4 Sets from a robust source, on Digits, mlp (Digits, 1 437 training images; mlp): det above chance" in text
    assert "asked criterion ≤ 0 points: criterion failed" in text
    assert "46 Digits, MLP, L2 1.5, on Digits: rand 50.0 ± 0.1 % (95 %: 49.6 to 50.4 %; n = 900, 3 seeds)" in text
    assert "Against" not in as_text(lines(evidence(2, "above chance", 0.2)))


def test_the_text_tells_what_would_run_every_row_that_was_not() -> None:
    text = " ".join(as_text(lines()).replace("\\\n", "").split())
    for one in lines():
        if one.code == "not_run":
            assert " ".join(one.row.run.command.split()) in text
            assert f"data: {one.row.run.data}; cost: {one.row.run.cost}" in text
    told = text.split("Not run, and what would run it")[1]
    assert "rows 16, 17;" in told
    assert "Row 26:" in told


def read() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(lines()))))


def test_the_csv_has_every_number_of_every_run_and_every_one_that_none_has() -> None:
    found = read()
    for one in every_verdict():
        (record,) = [r for r in found if (int(r["row"]), r["quantity"], r["on"]) == (one.row, one.name, one.on)]
        assert float(record["ours"]) == pytest.approx(one.ours.mean)
        assert record["protocol"] == one.protocol
        assert int(record["n"]) == one.ours.n
    for one in lines():
        rest = [r["quantity"] for r in found if int(r["row"]) == one.row.row and r["run"] == "not_run"]
        assert rest == (unmeasured(one) or ([""] if one.row.row == 26 else []))
    assert {int(r["row"]) for r in found} == {one.row for one in all_rows()}


def test_the_csv_has_targets_and_verdicts_as_they_are() -> None:
    by_row = {one.row.row: one for one in lines()}
    for record in read():
        row = by_row[int(record["row"])].row
        published, asked_for = row.published.get(record["quantity"]), row.criteria.get(record["quantity"])
        assert record["verdict"] == by_row[row.row].code
        assert record["source"] == row.source
        assert record["published"] == ("" if published is None else f"{published.value:.10g}")
        assert (record["at_least"] == "") is (asked_for is None or asked_for.at_least is None)


def test_meanings_stand_for_every_verdict_that_a_line_can_have() -> None:
    assert {one.code for one in lines()} <= set(MEANINGS)
    assert len(all_rows()) == len(lines())
