"""What is shown of robust and non-robust sets: the page, its figures, the text, the CSV, the runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import robust_runs
import toy
from accessibility import problems
from pages import Page

from raylab import runner
from raylab.core import invert
from raylab.recipes.robust_features import Cell, RobustFeatures, plan
from raylab.report.numbers import number, share, unbroken
from raylab.report.robust.page import page, section
from raylab.report.robust.panels import chosen, examples
from raylab.report.robust.publication import files, parent, publication
from raylab.report.robust.table import LABELS, Table, measured
from raylab.report.robust.text import as_csv, as_text
from raylab.report.robust.verdict import verdict
from raylab.report.terminal import WIDTH
from raylab.stages.dataset import SeeFarData
from raylab.stages.inversion import Inversion
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Ensemble, Robustness
from raylab.store import Store


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return robust_runs.table(Store(str(tmp_path_factory.mktemp("shown"))))


@pytest.fixture(scope="module")
def parsed(table: Table) -> Page:
    return Page(page([section(table)]))


def test_the_page_is_whole_and_loads_nothing(table: Table, parsed: Page) -> None:
    assert parsed.open == []
    assert problems(page([section(table)])) == []
    assert not {name for name, _ in parsed.tags} & {"script", "link", "iframe", "object"}
    assert len(parsed.every("img")) == 4
    for image in parsed.every("img"):
        assert image["src"].startswith("data:image/svg+xml;base64,")
        assert len(image["alt"]) > 40
    assert all(cell["scope"] in {"col", "row"} for cell in parsed.every("th"))
    assert table.title in parsed.text


def test_every_number_and_verdict_is_on_the_page_and_in_the_text(table: Table, parsed: Page) -> None:
    text = as_text(table)
    joined = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= WIDTH
    for row in table.rows:
        at = row.at[0.8]
        assert at.ensemble is not None
        for estimate in (row.clean, row.at[0.4].worst, at.pgd, at.ensemble, at.worst):
            assert unbroken(number(estimate)) in parsed.text
            assert number(estimate) in text
        assert unbroken(number(row.others["linf"])) in parsed.text
        assert share(row.others["linf"].mean) in text
        assert LABELS[row.set] in parsed.text
    for student in table.config.students:
        sentence = verdict(table, student).sentence
        assert unbroken(sentence) in parsed.text
        assert sentence in joined


def test_warnings_stand_first_and_a_study_without_has_none(tmp_path: Path, parsed: Page) -> None:
    assert "warning" not in parsed.text
    said = {("robust", "r_image"): {"warnings": ("zero gradients: <b>all</b>",)}}
    table = robust_runs.table(Store(str(tmp_path)), metrics=said)
    shown = Page(page([section(table)]))
    assert "6 warnings." in shown.text
    assert shown.text.index("D_R, cnn, seed 2: zero gradients: <b>all</b>") < shown.text.index("What the numbers allow")
    assert not shown.every("b")
    assert "- D_R, cnn, seed 2: zero gradients" in as_text(table)


def test_many_warnings_are_counted_not_listed(tmp_path: Path) -> None:
    said = {("robust", of): {"warnings": (f"warning {of}",)} for of in ("clean", "r_image", "r_noise", "nr_noise")}
    table = robust_runs.table(Store(str(tmp_path)), metrics=said)
    assert "and 12 more" in as_text(table)


def test_a_study_without_known_features_or_other_sets_has_a_page(tmp_path: Path) -> None:
    robustness = robust_runs.CONFIG.robustness.model_copy(update={"others": {}})
    config = robust_runs.CONFIG.model_copy(update={"robustness": robustness, "sets": ("r_image",), "seeds": (0,)})
    table = robust_runs.table(Store(str(tmp_path)), config)
    blind = replace(table, rows=tuple(replace(row, usage={}) for row in table.rows))
    shown = Page(page([section(blind)]))
    assert shown.open == []
    assert "What is true here" not in shown.text
    assert "Other sets of perturbations" not in shown.text
    assert "no verdict is given" in shown.text
    assert "known truth" not in as_text(blind)


def test_the_examples_are_the_same_images_in_every_set_and_the_starts_are_where_inversions_began(table: Table) -> None:
    ids, names = chosen(table, 1)
    assert ids == [0, 1, 2, 3, 4]
    assert names == list("abcde")
    shown = examples(table, 1, ids)
    assert list(shown) == ["D", "start", *(LABELS[name] for name in table.config.sets)]
    images = table.artifacts[Cell("data", 1)].batch()["image"] / 255
    np.testing.assert_array_equal(np.stack(shown["D"]), images[:5])
    began = invert.start_rows(np.arange(5), 30, 1, "train")
    np.testing.assert_array_equal(np.stack(shown["start"]), images[began])


def test_a_changed_number_changes_the_page_and_equal_ones_do_not(table: Table) -> None:
    drawn = section(table)
    assert page([section(table)]) == page([drawn])
    first, *rest = table.rows
    row = replace(first, clean=replace(first.clean, mean=0.123))
    assert "12.3\u00a0±" in page([replace(drawn, table=replace(table, rows=(row, *rest)))])


def test_the_csv_has_a_line_for_each_row_with_errors_and_differences(table: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert len(lines) == len(table.rows)
    line = next(one for one in lines if (one["set"], one["student"]) == ("r_image", "cnn"))
    assert float(line["worst 0.8"]) == pytest.approx(0.36)
    assert float(line["above clean"]) == pytest.approx(0.33)
    assert line["verdict"] == "came with the data"
    other = next(one for one in lines if (one["set"], one["student"]) == ("clean", "cnn"))
    assert other["above clean"] == ""
    assert "ensemble 0.4" not in line


def test_a_study_is_one_parent_and_a_child_for_each_set_student_and_seed(table: Table) -> None:
    kept = files(table, [])
    found = publication(table, kept)
    assert set(found.files) == {"robust_features.csv", "robust_features.txt"}
    assert len(found.children) == len(table.rows) * 3
    assert len({child.key for child in found.children}) == len(found.children)
    child = next(c for c in found.children if c.name == "r_image -> cnn 2")
    assert child.metrics["robust.0.8"] == pytest.approx(0.37)
    assert child.metrics["pgd.0.8"] == pytest.approx(0.39)
    assert "ensemble.0.4" not in child.metrics
    assert child.params["set"] == "r_image"
    assert found.parent.params == parent(table.config, table.key).params
    assert found.parent.metrics["above.clean.cnn"] == pytest.approx(0.33)
    assert "came with the data" in found.parent.note


def test_a_real_study_of_a_few_images_goes_all_the_way(tmp_path: Path) -> None:
    """Hand-made metrics could drift from those that the stages write."""
    once = Recipe(epochs=1)
    config = RobustFeatures(
        data=SeeFarData(name="seefar", train_rows=60, test_rows=30),
        students=("mlp_bottleneck16",),
        seeds=(0, 1),
        train=once,
        adversarial=Recipe(epochs=1, adversary=Adversary(eps=0.8, steps=2, step_share=0.5)),
        student=once,
        from_image=Inversion(start="image", steps=2),
        from_noise=Inversion(start="noise", steps=2),
        robustness=Robustness(
            eps=(0.4, 0.8), pgd_steps=2, ensemble=Ensemble(steps=2, queries=2), others={"shift": 1}, rows=20
        ),
    )
    artifacts = runner.build(plan(config), Store(str(tmp_path)), runner.InlineBackend(), toy.Recorder())
    table = measured(config, "key", artifacts)
    drawn = section(table)
    shown = Page(page([drawn]))
    assert shown.open == []
    assert {row.clean.n for row in table.rows} == {60}
    assert {row.at[0.8].worst.n for row in table.rows} == {40}
    assert table.made[0].n == 120
    assert table.warnings  # an inversion of two steps has not converged
    assert "inversion has not converged" in shown.text
    assert "set in doubt" in as_text(table) or "source failed" in as_text(table)
    runs = publication(table, files(table, list(drawn.pictures.values())))
    assert len(runs.children) == 2 * len(table.rows)
