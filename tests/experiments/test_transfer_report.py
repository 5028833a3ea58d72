"""Page, text, files and runs of a matrix: whole, valid, readable, and honest."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rows
import runs
from accessibility import problems
from children import assert_distinct
from pages import Page

from raylab.core.statistics import Coefficient, Correlation
from raylab.engine.store import Store
from raylab.engine.study import Built, Study
from raylab.experiments.transfer import EXPERIMENT, Controls, Matrix, TransferCell, examples, measure, plan, verdict
from raylab.experiments.transfer.limits import SPREADS, detects, limits
from raylab.experiments.transfer.measure import CONTROLS
from raylab.experiments.transfer.report import report
from raylab.experiments.transfer.tables import VIEWS
from raylab.experiments.transfer.verdict import truth
from raylab.report import html
from raylab.report.experiment import Results
from raylab.report.files import files
from raylab.report.numbers import coefficient, number, unbroken
from raylab.report.significance import detectable, holm
from raylab.report.terminal import WIDTH, as_text
from raylab.report.tracker import publication
from raylab.report.values import Spanned, format_value
from raylab.stages.construction import Attack
from raylab.stages.data_config import KnownData, SeeFarData


@pytest.fixture(scope="module")
def results(digits: Matrix, seefar: Matrix) -> Results:
    return EXPERIMENT.results([digits.built, seefar.built])


def shown_page(*matrices: Matrix) -> str:
    return html.page(EXPERIMENT, [(matrix.built, report(matrix)) for matrix in matrices])


def with_config(matrix: Matrix, **changed: object) -> Matrix:
    return rows.with_config(matrix, matrix.config.model_copy(update=changed))


def test_the_page_is_valid_accessible_and_loads_nothing(results: Results) -> None:
    parsed = Page(results.page)
    assert parsed.open == []
    assert problems(results.page) == []
    assert not {name for name, _ in parsed.tags} & {"script", "link", "iframe", "object", "embed", "base"}
    images = parsed.every("img")
    assert len(images) > 10
    assert all(len(image["alt"]) > 40 for image in images)


def test_every_number_and_verdict_is_on_the_page_and_in_the_whole_text(
    results: Results, digits: Matrix, seefar: Matrix
) -> None:
    page = Page(results.page).text
    for matrix, text in zip((digits, seefar), results.full_texts, strict=True):
        joined = " ".join(text.split())
        for row in matrix.rows:
            found = verdict(row, matrix.neighbours_clean)
            for said in (found.sentence, found.numbers):
                assert unbroken(said) in page
                assert said in joined
            for one in (row.accuracy, row.p1, *row.controls.values()):
                assert unbroken(number(one.mean)) in page
                assert number(one.mean) in text
            assert all(format_value(Spanned(one)) in joined for one in row.above.values())


def test_the_text_fits_a_terminal_and_its_short_form_a_screen(results: Results) -> None:
    for text in (*results.texts, *results.full_texts):
        assert max(map(len, text.splitlines())) <= WIDTH
    for text in results.texts:
        assert len(text.splitlines()) <= 40
    assert results.texts[0].count("random-label source mlp") == 2  # once a kind, and never one for linear
    assert "random-label source linear" not in results.full_texts[0]


def test_equal_verdicts_are_said_once() -> None:
    made = rows.matrix([rows.row(source, target) for source in ("mlp", "cnn") for target in ("mlp", "cnn")])
    sentence = verdict(made.rows[0], made.neighbours_clean).sentence
    for full, reached in ((False, 0), (True, 4)):
        text = " ".join(as_text(report(made), full).split())
        assert text.count(sentence) == 1
        assert text.count("The student reaches") == reached


def test_the_note_of_the_data_stands_beside_the_numbers_and_is_no_markup(seefar: Matrix) -> None:
    noted = replace(seefar, note="JPEG <b>only</b> & so on")
    page = Page(shown_page(noted))
    assert "About the data: JPEG <b>only</b> & so on" in page.text
    assert page.text.count("JPEG <b>only</b>") == 3  # and below both heat maps
    assert not page.every("b")
    assert "About the data: JPEG" in as_text(report(noted))


def test_what_is_known_of_see_far_is_explained_and_shown_only_there(results: Results, digits: Matrix) -> None:
    page = Page(results.page).text
    assert page.count("What is true here") == 2  # the heading, and the link to it
    assert page.count("never look at it") == 1
    assert page.count("See-Far calls them shape and toogit") == 1
    assert "What is true here" not in Page(shown_page(digits)).text


def test_what_is_true_has_a_badge_beside_a_verdict_that_did_not_look(digits: Matrix) -> None:
    strong = rows.strong()
    names = ("accuracy", "p1", "controls", "success", "robust")
    changed = {name: getattr(strong, name) for name in names}
    made = [
        replace(row, **changed, transfer={**row.transfer, **strong.transfer}) if row.kind == "det" else row
        for row in digits.rows
    ]
    data = SeeFarData(name="seefar", toogit_reliability=0.1)
    matrix = with_config(replace(digits, rows=tuple(made)), data=data)
    badges = [one["class"] for one in Page(shown_page(matrix)).every("span") if "badge" in one["class"]]
    assert "badge truth" in badges
    assert report(matrix).answer.badge.words == "evidence"
    assert {one.badge.words for row in made if (one := truth(row, data))} == {"no such feature"}
    assert "a world whose non-robust feature says nothing" in matrix.title


def test_warnings_are_notes(digits: Matrix) -> None:
    first, *rest = digits.rows
    doubted = replace(first, robust=rows.robust(warnings=("seed 0: it collapsed",)), warnings=("seed 0: masked",))
    made = replace(digits, rows=(doubted, *rest), warnings={"mlp": ("seed 1: zero gradients",)})
    for text in (Page(shown_page(made)).text, as_text(report(made))):
        assert "robust source linear: seed 0: it collapsed" in text
        assert "rand from linear to linear: seed 0: masked" in text
        assert "robust accuracy of standard mlp: seed 1: zero gradients" in text


def test_titles_tell_the_matrices_of_a_run_apart(seefar: Matrix) -> None:
    plain = seefar.title
    assert plain == "See-Far: L2 radius 1"
    different = {
        plain,
        *(
            with_config(seefar, **changed).title
            for changed in (
                {"attack": Attack(eps=0.8)},
                {"attack": Attack(norm="linf", eps=0.25)},
                {"keep": "success"},
                {"keep": "top"},
                {"keep": "bottom"},
                {"data": SeeFarData(name="seefar", toogit_reliability=0.1)},
                {"data": SeeFarData(name="seefar", shape_reliability=0.1)},
            )
        ),
    }
    assert len(different) == 8


def test_a_matrix_of_one_seed_without_controls_or_neighbours_has_a_page(report_store: Store) -> None:
    off = {"unperturbed": False, "robust": None, "leakage": None}
    config = runs.DIGITS.model_copy(
        update={
            "seeds": (0,),
            "kinds": ("other",),
            "neighbours": 0,
            "sources": ("mlp",),
            "controls": runs.SEEFAR.controls.model_copy(update=off),
        }
    )
    results = EXPERIMENT.results([runs.built(config, report_store)])
    assert problems(results.page) == []
    text = Page(results.page).text
    assert "No control was run" in text
    assert "no row can be judged" in text
    assert "1-nearest-neighbour" not in text


def test_the_tables_have_a_line_for_every_row_and_leave_empty_what_was_not_measured(digits: Matrix) -> None:
    kept = files(report(digits))
    lines = list(csv.DictReader(io.StringIO(kept["tables/students.csv"].decode())))
    assert len(lines) == len(digits.rows)
    for line, row in zip(lines, digits.rows, strict=True):
        assert (line["Kind"], line["Source to student"]) == (row.kind, row.pair)
        assert float(line["Accuracy"]) == pytest.approx(row.accuracy.mean.mean, rel=1e-5)
        assert float(line["Accuracy se"]) == pytest.approx(row.accuracy.mean.se, rel=1e-5)
        assert (line["Untrained source"] == "") == (row.source == "linear")
    assert {"tables/differences.csv", "tables/sets.csv", "tables/transfer.csv", "tables/leakage.csv"} <= kept.keys()


def test_no_two_runs_of_the_tracker_have_the_same_params(results: Results, digits: Matrix, seefar: Matrix) -> None:
    children = [child for run in results.publications for child in run.children]
    assert_distinct(children, sum(len(row.accuracy) for matrix in (digits, seefar) for row in matrix.rows))
    child = next(one for one in children if one.name == "mlp linear det seed 1")
    row = digits.row("mlp", "linear", "det")
    assert child.metrics["accuracy/test"] == row.accuracy[1].mean
    assert child.metrics["transfer/targeted"] == row.transfer["targeted"][1].mean
    assert child.metrics["control/unperturbed"] == row.controls["unperturbed"][1].mean
    assert child.tags["verdict"] == verdict(row, digits.neighbours_clean).badge.words
    assert child.params["data.per_class"] == 12
    assert child.inputs[0].digest == digits.built.artifacts[TransferCell("set", 1, "mlp", "", "det")].digest
    other = next(one for one in children if one.name == "mlp mlp rand seed 0" and "robust/l2_0.25" in one.metrics)
    assert other.metrics["robust/l2_0.25"] == digits.row("mlp", "mlp", "rand").robustness[0.25][0].mean


def test_two_worlds_differ_in_the_params_of_their_runs(seefar: Matrix) -> None:
    other = with_config(seefar, data=seefar.config.data.model_copy(update={"toogit_reliability": 0.1}))
    found = [EXPERIMENT.results([one.built]).publications[0].children[0].params for one in (seefar, other)]
    assert found[0] != found[1]


def told(matrix: Matrix) -> dict[str, float]:
    metrics = publication("transfer_matrix", matrix.built, report(matrix), ()).parent.metrics
    return {name: value for name, value in metrics.items() if name.startswith(("pearson", "spearman"))}


def with_interval(matrix: Matrix, *wide: str) -> Matrix:
    """Every coefficient -0.957; with an interval, as of networks enough, for these kinds alone."""

    def views(kind: str) -> dict[str, Correlation]:
        low, high = (-0.991, -0.123) if kind in wide else (math.nan, math.nan)
        one = Coefficient(-0.957, low, high)
        return dict.fromkeys(VIEWS, Correlation(one, one, 3))

    made = replace(matrix)
    made.__dict__["correlations"] = {kind: views(kind) for kind in matrix.config.kinds}  # as if computed
    return made


def test_a_correlation_that_the_page_refuses_is_told_to_no_tracker(digits: Matrix) -> None:
    """Three seeds of one pair are three points."""
    lonely = with_interval(digits)
    assert told(lonely) == {}
    for text in (shown_page(lonely), as_text(report(lonely), full=True)):
        assert "0.96" not in text


def test_the_correlations_of_the_page_are_those_of_the_tracker(digits: Matrix) -> None:
    """Of each kind by itself."""
    first, *others = digits.config.kinds
    assert others
    some = with_interval(digits, first)
    assert told(some) == {f"{what}/{first}_{view}": -0.957 for what in ("pearson", "spearman") for view in VIEWS}
    words = coefficient(some.correlations[first]["pooled"].pearson)
    cell = f'<td class="n">{words}</td>'
    assert shown_page(some).count(cell) == as_text(report(some), full=True).count(words) == 2 * len(VIEWS)


def test_holes_are_shown_as_absent_and_judged_as_not_built(digits: Matrix) -> None:
    def lacks(cell: TransferCell) -> bool:
        student = cell.role in ("student", "network", "robustness") and (cell.source, cell.target) == ("mlp", "linear")
        return student or cell.control == "leakage" or (cell.role, cell.seed, cell.target) == ("standard", 0, "mlp")

    cells = {cell: one for cell, one in digits.built.artifacts.items() if not lacks(cell)}
    missing = {cell: "it failed" for cell in digits.built.artifacts if lacks(cell)}
    holed = Built(digits.config, "key", cells, missing)
    judged = {(row.kind, row.pair): verdict(row).badge.words for row in measure(holed).rows}
    assert judged["det", "mlp → linear"] == judged["rand", "mlp → mlp"] == "not built"
    assert judged["det", "linear → linear"] != "not built"
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0]
    assert "“nan" not in Page(results.page).text
    child = next(one for one in results.publications[0].children if one.name == "mlp linear det seed 0")
    assert "accuracy/test" not in child.metrics
    assert child.tags["verdict"] == "not built"
    none = {cell: "it failed" for cell in plan(digits.config) if cell.role != "data"}
    empty = Built(digits.config, "key", {c: a for c, a in digits.built.artifacts.items() if c.role == "data"}, none)
    results = EXPERIMENT.results([empty])
    assert problems(results.page) == []
    assert not results.evidence[0]
    assert "[not built]" in results.texts[0]


def test_examples_join_the_students_of_what_was_built(digits: Matrix) -> None:
    students = [cell for cell in digits.built.artifacts if cell.role == "student"]
    tested = digits.rows[0].accuracy[0].n
    assert examples(digits).num_rows == tested * len(students)


# -- what is said of a run's size: each limit where it applies, and only there


def of_size(**changed: object) -> str:
    """Of a large run, unless changed."""
    config: dict[str, object] = {"data": KnownData(name="cifar10", root="x"), "seeds": (0, 1, 2, 3, 4)}
    row = changed.pop("row", rows.strong())
    config |= {name: changed.pop(name) for name in ("seeds", "data") if name in changed}
    made = rows.matrix([row], **config)  # type: ignore[list-item]
    return " ".join(limits(replace(made, **{"training_rows": 50_000, **changed})))  # type: ignore[arg-type]


def test_a_large_run_only_gets_its_numbers() -> None:
    assert of_size().count(". ") == 1
    assert "50,000 training and 100 test images a seed, 5 seeds" in of_size()
    assert "± 5.0 points" in of_size()  # sqrt(.25 / 100)
    assert "2.8 of its standard errors" in of_size()  # t of 4 degrees of freedom: 2.776


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seeds": (0,)}, "no row can be judged"),
        ({"seeds": (0, 1, 2)}, "4.3 of its standard errors (Student's t; fewer where"),
        ({"training_rows": 2000}, "uses 4 % of them: published numbers are not to be expected"),
        ({"row": rows.row()}, "Only det can contradict what the images show"),
        ({"row": rows.strong(controls={})}, "Some det sets have no control"),
        ({"row": rows.strong(success=rows.shares(0.12))}, "attack success rate is at most 12 % on any source"),
        (
            {"standard": {"mlp": rows.shares(0.45)}, "sources": {"mlp": rows.shares(0.559)}},
            "The best ordinary network reaches 56 %",
        ),
        ({"row": rows.strong(robust=None)}, "Some det rows have no robust source beside them"),
    ],
)
def test_each_limit_is_said_where_it_applies(changed: dict[str, object], said: str) -> None:
    assert said in of_size(**changed)
    assert said not in of_size()


def test_seeds_that_share_images_are_asked_at_most_students_t() -> None:
    """CIFAR's seeds are tested on one set, and what its images cost is known better; a seed of See-Far is a world."""
    assert "exceeds at most 2.8 of its standard errors (Student's t; fewer where" in of_size()
    assert "at most" not in of_size(data=SeeFarData(name="seefar"))


def test_tables_for_mlflow_are_those_of_the_files(results: Results) -> None:
    run = results.publications[0]
    table = json.loads(run.files["tables/students.json"])
    assert table["columns"] == run.files["tables/students.csv"].decode().splitlines()[0].split(",")


def test_the_tests_of_a_table_are_paired_by_seed_and_adjusted_together(digits: Matrix) -> None:
    table = next(one for one in report(digits).tables() if one.name == "tests")
    by_name = {(row.kind, row.pair, CONTROLS[name]): of for row in digits.rows for name, of in row.above.items()}
    assert {line[:3] for line in table.rows} == by_name.keys()
    p_values = [by_name[line[:3]].p_value for line in table.rows]
    assert [line[4].of for line in table.rows] == p_values
    assert [line[5].of for line in table.rows] == holm(p_values)


def test_all_pairs_of_a_control_are_also_taken_together(digits: Matrix) -> None:
    table = next(one for one in report(digits).tables() if one.name == "pooled")
    assert table.header == ("Kind", "Control", "Pairs", "These architectures")  # two sources tell nothing of others
    (line,) = [line for line in table.rows if line[:2] == ("det", CONTROLS["unperturbed"])]
    assert line[2] == 4
    means = [row.above["unperturbed"].mean.mean for row in digits.of("det")]
    assert line[3].of.mean.mean == pytest.approx(sum(means) / 4)


def test_a_dry_run_tells_the_smallest_effect_of_as_many_tests_as_the_table_has(digits: Matrix) -> None:
    (told,) = detects(Study(digits.config, plan(digits.config)))
    assert f"for all {sum(len(row.controls) for row in digits.rows)} tests" in told
    assert "2 seeds" in told
    assert f"is {100 * detectable(2, SPREADS[1]):.1f} points" in told
    alone = digits.config.model_copy(update={"seeds": (0,)})
    assert "One seed" in "".join(detects(Study(alone, plan(alone))))
    none = Controls(unperturbed=False, random_labels=False, untrained=False, robust=None, leakage=None)
    without = digits.config.model_copy(update={"controls": none})
    assert "No control" in "".join(detects(Study(without, plan(without))))


def test_the_spread_that_a_dry_run_assumes_is_that_of_the_measured_differences() -> None:
    with (Path(__file__).parents[2] / "docs" / "measured.csv").open() as file:
        measured = [
            float(row["se"]) * math.sqrt(int(row["seeds"]))
            for row in csv.DictReader(file)
            if row["experiment"] == "transfer_matrix" and "above" in row["quantity"] and row["se"]
            and int(row["seeds"]) >= 3
        ]  # fmt: skip
    assert np.quantile(measured, (0.25, 0.5, 0.75)) == pytest.approx(SPREADS, rel=0.25)  # it may be measured again
