"""The rows of the controls: what decides a sign, what is compared with what, and what is said, drawn and kept of it."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any

import pytest
import toy
from accessibility import problems
from pages import Page

from raylab import runner
from raylab.core.statistics import Estimate
from raylab.recipes.controls import Bugs, Cell, ControlStudy, RobustCurve, plan
from raylab.report.controls.page import files, page, parent, publication, section
from raylab.report.controls.rows import Reader, measured
from raylab.report.controls.table import BADGES, Check, Controls, Row
from raylab.report.controls.text import as_csv, as_text
from raylab.report.estimates import interval
from raylab.runner import InlineBackend
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData
from raylab.stages.recipe import Adversary, Recipe
from raylab.store import Store

TINY = ControlStudy(
    data=DigitsData(per_class=12),
    seeds=(0, 1),
    attack=Attack(steps=3),
    train=Recipe(epochs=2, batch_size=32),
    robust=Recipe(epochs=2, batch_size=32, adversary=Adversary(eps=0.5, steps=5)),
    base=10,
    top_eps=None,
    bugs=Bugs(source="mlp", student="mlp", ensemble=("mlp", "linear"), attack=Attack(steps=3), train=Recipe(epochs=2)),
    curve=RobustCurve(eps=(0.3, 0.6), expected_at=0.3),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Controls:
    store = Store(str(tmp_path_factory.mktemp("controls")))
    return measured(TINY, "0" * 64, runner.build(plan(TINY), store, InlineBackend(), toy.Recorder()))


def points(mean: float, se: float = 0.01, seeds: int = 3) -> Estimate:
    return Estimate(mean, se, 100, seeds)


def row(*checks: Check, **changed: Any) -> Row:
    plain = Row("x", "det", "x, det", "", ("a", points(0.3)), ("b", points(0.2)), points(0.1), (), checks)
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("difference", "strictly", "holds"),
    [
        (points(0.10), True, True),
        (points(0.04), True, None),  # the 95 % interval of 3 seeds is 4.3 standard errors wide
        (points(-0.04), True, None),
        (points(-0.10), True, False),
        (points(0.001), False, True),  # at or above zero
        (points(-0.001), False, None),
        (points(-0.10), False, False),
        (points(0.10, seeds=1), True, None),
        (points(-0.10, seeds=1), False, None),
        (points(math.nan), True, None),
    ],
)
def test_a_sign_is_decided_by_the_interval_of_a_paired_difference(
    difference: Estimate, strictly: bool, holds: bool | None
) -> None:
    assert Check("", difference, strictly).holds is holds


def test_a_row_is_as_expected_only_where_every_check_holds() -> None:
    yes, no, unknown = Check("y", points(0.1)), Check("n", points(-0.1)), Check("u", points(0.0))
    assert row(yes, yes).code == "expected"
    assert row(yes, unknown).code == "undecided"
    assert row(yes, unknown, no).code == "unexpected"
    assert "u: open" in row(yes, unknown).sentence
    assert "y:" not in row(yes, unknown).sentence
    assert "because" in row(no, why="because").sentence
    assert "because" not in row(yes, why="because").sentence


def test_an_interval_is_that_of_student() -> None:
    low, high = interval(points(0.5, 0.01, 3))
    assert (low, high) == pytest.approx((0.5 - 0.0430265, 0.5 + 0.0430265), abs=1e-6)
    assert all(math.isnan(value) for value in interval(points(0.5, 0.01, 1)))


def test_every_control_is_measured_from_its_own_cells(tiny: Controls) -> None:
    def accuracy(role: str, of: str, kind: str, column: str = "accuracy", eps: float = 0.0) -> float:
        return sum(tiny.artifacts[Cell(role, s, of, kind, eps)].metrics[column] for s in (0, 1)) / 2

    found = {(row.control, row.kind): row for row in tiny.rows}
    assert len(found) == len(tiny.rows) == 2 + 2 + 1 + 4 + 1 + 1
    for name, of in (("leakage", "leakage"), ("universal", "universal")):
        for kind in ("rand", "det"):
            one = found[name, kind]
            assert one.measured[1].mean == pytest.approx(accuracy("student", of, kind))
            assert one.beside[1].mean == pytest.approx(accuracy("student", "real", kind))
    margin = found["margin", "other"]
    assert margin.measured[1].mean == pytest.approx(accuracy("student", "top", "other"))
    assert margin.beside[1].mean == pytest.approx(accuracy("student", "bottom", "other"))
    for of in ("linear", "deep"):
        assert found[f"features_{of}", "det"].measured[1].mean == pytest.approx(accuracy("features", of, "det"))
    bugs = found["bugs", "det"]
    assert bugs.beside[1].mean == pytest.approx(accuracy("student", "plain", "det"))
    assert dict(bugs.others)["success"].mean == pytest.approx(accuracy("set", "bugs", "det", "success"))
    assert dict(bugs.others)["transfer"].mean == pytest.approx(accuracy("transfer", "bugs", ""))
    robust = found["robust", "det"]
    assert robust.measured[1].mean == pytest.approx(accuracy("student", "robust", "det", eps=0.3))
    assert robust.beside[1].mean == pytest.approx(accuracy("student", "robust", "det", "p1", eps=0.3))
    for one in tiny.rows:
        assert one.difference.mean == pytest.approx(one.measured[1].mean - one.beside[1].mean)


def test_the_success_of_bugs_is_counted_by_training_image(tiny: Controls) -> None:
    """Seeds of digits share training images, which their interval has to know."""
    reader = Reader(TINY, tiny.artifacts, 10)
    for seed in TINY.seeds:
        one, made = reader.success(seed, "bugs"), tiny.artifacts[Cell("set", seed, "bugs", "det")]
        assert (one.mean, one.n) == (pytest.approx(made.metrics["success"]), made.metrics["n"])
        assert one.examples is not None
        assert one.examples.images == "train"
        assert set(one.examples.ids.tolist()) == set(made.without_images()["id"].tolist())


def test_det_must_not_be_explained_by_robust_features_and_rand_must(tiny: Controls) -> None:
    for one in tiny.rows:
        if one.control.startswith("features"):
            (check,) = one.checks
            over = one.measured[1].mean - tiny.chance
            assert check.difference.mean == pytest.approx(-over if one.kind == "det" else over)


def test_bugs_must_pass_every_one_of_their_marks(tiny: Controls) -> None:
    bugs = next(one for one in tiny.rows if one.control == "bugs")
    others = dict(bugs.others)
    expected = [
        others["success"].mean - 0.95,
        0.05 - others["transfer"].mean,
        0.1 - bugs.measured[1].mean,
        bugs.beside[1].mean - 0.1,
        bugs.beside[1].mean - bugs.measured[1].mean,
    ]
    assert [check.difference.mean for check in bugs.checks] == pytest.approx(expected)


def test_the_admissible_radius_ends_before_the_first_that_teaches_more_than_chance(tiny: Controls) -> None:
    """Counted from the smallest: a later one that happens to be low does not count."""
    assert tiny.curve is not None
    means = [estimate.mean for estimate in tiny.curve.accuracy["robust"]]
    within = [mean <= tiny.chance for mean in means]
    run = within.index(False) if False in within else len(within)
    assert tiny.curve.admissible == (tiny.curve.eps[run - 1] if run else None)


def test_text_table_and_page_tell_every_row_and_no_share_of_one_accuracy_in_another(tiny: Controls) -> None:
    text, html = as_text(tiny), page([section(tiny)])
    shown = Page(html)
    assert problems(html) == []
    for one in tiny.rows:
        assert one.title in text
        assert one.title in shown.text
    assert max(len(line) for line in text.splitlines()) <= 100
    lines = list(csv.DictReader(io.StringIO(as_csv(tiny))))
    assert {line["control"] for line in lines} >= {one.control for one in tiny.rows}
    first = next(line for line in lines if line["control"] == "leakage" and line["what"] == "difference")
    assert float(first["mean"]) == pytest.approx(tiny.rows[0].difference.mean, abs=1e-5)
    assert all(badge in BADGES.values() for badge in {line["verdict"] for line in lines if line["verdict"]})
    assert "http" not in "".join(value for _, given in shown.tags for name, value in given.items() if name == "src")


def test_equal_results_give_equal_bytes_and_another_number_another_figure(tiny: Controls) -> None:
    assert files(section(tiny)) == files(section(tiny))
    changed = replace(tiny.rows[0], measured=("leakage only", points(0.99)))
    other = files(section(replace(tiny, rows=(changed, *tiny.rows[1:]))))
    assert other["figures/controls.svg"] != files(section(tiny))["figures/controls.svg"]
    assert set(other) == {"controls.csv", "controls.txt", "figures/controls.svg", "figures/robust_source.svg"}


def test_a_study_without_bugs_and_curve_has_a_page_too(tmp_path: Any) -> None:
    config = TINY.model_copy(update={"bugs": None, "curve": None, "kinds": ("rand",), "seeds": (0,)})
    found = measured(
        config, "1" * 64, runner.build(plan(config), Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    )
    assert [one.control for one in found.rows] == ["leakage", "universal", "margin", "features_linear", "features_deep"]
    assert {one.code for one in found.rows} == {"undecided"}  # one seed
    assert "One seed" in as_text(found)
    assert Page(page([section(found)])).open == []


def test_a_collapsed_robust_training_is_said_everywhere(tiny: Controls) -> None:
    warned = replace(tiny, warnings=("robust, seed 0: adversarial training collapsed",))
    for told in (as_text(warned), page([section(warned)]), publication(warned, {}).parent.note):
        assert "adversarial training collapsed" in told


def test_the_tracker_is_told_every_row_once(tiny: Controls) -> None:
    told = publication(tiny, {"x": b""})
    assert told.parent.key == parent(TINY, tiny.key).key
    assert len({child.key for child in told.children}) == len(tiny.rows)
    assert sum(told.parent.metrics[code] for code in BADGES) == len(tiny.rows)
    for child, one in zip(told.children, tiny.rows, strict=True):
        assert child.metrics["control"] == one.measured[1].mean
        assert child.tags["raylab.verdict"] == one.code
        assert child.metrics["difference.se"] == one.difference.se


def test_a_standard_error_of_one_seed_which_the_page_does_not_show_is_told_to_no_tracker(tiny: Controls) -> None:
    lonely = replace(tiny, rows=(replace(tiny.rows[0], difference=points(0.1, seeds=1)),))
    assert "[one seed]" in page([section(lonely)])
    (child,) = publication(lonely, {}).children
    assert child.metrics["difference"] == 0.1
    assert "difference.se" not in child.metrics
