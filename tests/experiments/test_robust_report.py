"""What is shown of robust and non-robust sets: the page, its figures, the text, the tables, the runs."""

from __future__ import annotations

import csv
import io
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import robust_runs
import toy
from accessibility import problems
from pages import Page, seen

from raylab.core import invert
from raylab.engine import runner
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.robust import EXPERIMENT, RobustCell, RobustFeatures, RobustSets, measure, plan
from raylab.experiments.robust.figures import _of_ids, _starts
from raylab.experiments.robust.measure import LABELS
from raylab.experiments.robust.report import report
from raylab.experiments.robust.verdict import answer, verdicts
from raylab.report.blocks import Text
from raylab.report.experiment import Results
from raylab.report.numbers import number, unbroken
from raylab.report.values import Singles
from raylab.stages.dataset import SeeFarData
from raylab.stages.inversion import Inversion
from raylab.stages.layer_robustness import LayerRobustness
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.robustness import Ensemble, Robustness


@pytest.fixture(scope="module")
def found() -> RobustSets:
    return robust_runs.study()


@pytest.fixture(scope="module")
def results(found: RobustSets) -> Results:
    return EXPERIMENT.results([found.built])


def test_page_text_and_files_have_all_parts(found: RobustSets, results: Results) -> None:
    parsed, text, full = seen(results, 4)
    assert len(list(report(found).pictures())) == 4
    for one in found.networks:
        at = one.at[0.8]
        for value in (one.accuracy, one.at[0.4].worst, at.pgd, at.ensemble, at.worst, one.others["linf"]):
            assert unbroken(number(value.mean)) in parsed.text
            assert number(value.mean) in full
        assert number(at.worst.mean) in text
        assert LABELS[one.set] in parsed.text
    for judged in verdicts(found):
        assert judged.subject in text
        assert unbroken(judged.sentence) in parsed.text
        assert judged.sentence in " ".join(full.split())


def test_the_alternative_text_of_the_curves_has_the_numbers_at_the_radius_of_the_verdict(found: RobustSets) -> None:
    (picture,) = (one for one in report(found).pictures() if one.name == "robust_accuracy")
    assert "At 0.8: mlp_bottleneck16: D 3.0 ± 0.6 %, D_R 36.0 ± 0.6 %" in picture.alt
    assert picture.alt.count("D, adversarially 79.0 ± 0.6 %") == 2  # the source, beside both students


def test_warnings_stand_first_and_a_study_without_has_none(results: Results) -> None:
    assert "warning" not in Page(results.page).text
    said = {("robust", "r_image"): {"warnings": ("zero gradients: <b>all</b>",)}}
    warned = EXPERIMENT.results([robust_runs.study(metrics=said).built])
    parsed = Page(warned.page)
    assert "6 warnings" in parsed.text
    listed = "D_R, cnn, seed 2: zero gradients: <b>all</b>"
    assert parsed.text.index(listed) < parsed.text.index("What the numbers allow")
    assert not parsed.every("b")
    assert f"- {listed}" in warned.texts[0]


def test_of_many_warnings_the_first_are_listed_and_the_others_counted() -> None:
    said = {("robust", of): {"warnings": (f"warning {of}",)} for of in ("clean", "r_image", "r_noise", "nr_noise")}
    found = robust_runs.study(metrics=said)
    (warned,) = (block for block in report(found).blocks if isinstance(block, Text) and block.look == "note")
    assert (len(warned.items), len(warned.first), len(warned.others)) == (24, 5, 19)
    shown = EXPERIMENT.results([found.built])
    assert "- and 19 more, with --full" in shown.texts[0]
    assert "And 19 more" in shown.page
    for whole in (shown.page, shown.full_texts[0]):
        assert all(
            " ".join(item.split()) in " ".join(unescape(whole).replace("\u00a0", " ").split()) for item in warned.items
        )


def test_a_study_without_known_features_or_other_sets_has_a_page() -> None:
    robustness = robust_runs.CONFIG.robustness.model_copy(update={"others": {}})
    config = robust_runs.CONFIG.model_copy(update={"robustness": robustness, "sets": ("r_image",), "seeds": (0,)})
    whole = robust_runs.study(config).built
    blind = {cell: one for cell, one in whole.artifacts.items() if cell.role not in ("usage", "layers")}
    parsed = Page(EXPERIMENT.results([Built(config, "key", blind)]).page)
    assert parsed.open == []
    for part in ("What is true here", "Other sets of perturbations", "Robust layers"):
        assert part not in parsed.text
    assert "no verdict is given" in parsed.text


def test_the_examples_are_the_same_images_in_every_set_and_the_starts_are_where_inversions_began(
    found: RobustSets,
) -> None:
    (picture,) = (one for one in report(found).pictures() if one.name == "examples")
    sheet = dict(part.split(": ", 1) for part in picture.alt.split(". ", 1)[1].rstrip(".").split("; "))
    assert list(sheet) == ["D", "start", *(LABELS[name] for name in found.config.sets)]
    assert {of: words for of, words in sheet.items() if of != "start"} == dict.fromkeys(
        (of for of in sheet if of != "start"), "a, b, c, d, e"
    )
    data = found.built.artifacts[RobustCell("data", 1)]
    images = data.batch()["image"] / 255
    np.testing.assert_array_equal(np.stack(_of_ids(data, [0, 1, 2])), images[:3])
    began = invert.start_rows(np.arange(5), 30, 1, "train")
    np.testing.assert_array_equal(np.stack(_starts(data, list(range(5)), 1)), images[began])


def test_the_tables_have_a_line_for_each_network_with_errors_and_differences(
    found: RobustSets, results: Results
) -> None:
    (run,) = results.publications

    def lines(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(run.files[f"tables/{name}.csv"].decode())))

    assert len(lines("robust_accuracy")) == len(lines("attacks")) == len(found.networks)
    places = {(one["Student"], one["Trained on"]): one for one in lines("robust_accuracy")}
    assert float(places["cnn", "D_R"]["Radius 0.8"]) == pytest.approx(0.36)
    assert float(places["cnn", "D_R"]["Single seeds, 0.8 seed 2"]) == pytest.approx(0.37)
    assert "Ensemble, 0.4" not in lines("attacks")[0]
    cnn = next(one for one in lines("differences") if one["Student"] == "cnn")
    assert float(cnn["D_R minus D"]) == pytest.approx(0.33)
    assert cnn["Verdict"] == "came with the data"
    table = next(one for one in report(found).tables() if one.name == "robust_accuracy")
    assert any(isinstance(value, Singles) for value in table.rows[0])


def test_a_study_is_one_parent_and_a_child_for_each_network_and_seed_none_like_another(
    found: RobustSets, results: Results
) -> None:
    (run,) = results.publications
    assert len(run.children) == len(found.networks) * 3
    assert len({child.key for child in run.children}) == len(run.children)
    assert len({tuple(sorted(child.params.items())) for child in run.children}) == len(run.children)
    child = next(one for one in run.children if one.name == "r_image cnn 0.8 seed 2")
    assert child.metrics["robust/l2_0.8"] == pytest.approx(0.37)
    assert child.metrics["pgd/l2_0.8"] == pytest.approx(0.39)
    assert child.metrics["other_perturbations/linf_0.05"] == pytest.approx(0.5)
    assert child.metrics["above/clean"] == pytest.approx(0.33)
    assert "ensemble/l2_0.4" not in child.metrics
    assert child.params["set_kind"] == "r_image"
    assert child.tags["verdict"] == "came with the data"
    assert child.inputs[0].digest == found.built.artifacts[RobustCell("set", 2, "r_image")].digest
    assert run.parent.params == EXPERIMENT.opened(found.config, "key").params
    assert run.parent.metrics["above/clean/cnn"] == pytest.approx(0.33)
    assert "came with the data" in run.parent.note


def test_holes_are_shown_as_absent_and_judged_as_not_built(found: RobustSets) -> None:
    def is_hole(cell: RobustCell) -> bool:
        network = (cell.set, cell.network) == ("r_image", "cnn")
        return network or (cell.role, cell.set) in (("set", "r_noise"), ("robust", "r_noise"), ("layers", "standard"))

    cells = {cell: one for cell, one in found.built.artifacts.items() if not is_hole(cell)}
    holed = Built(found.config, "key", cells, {cell: "it failed" for cell in found.built.artifacts if is_hole(cell)})
    judged = {one.subject: one.badge.words for one in verdicts(measure(holed))}
    assert judged == {"mlp_bottleneck16": "came with the data", "cnn": "not built"}
    shown = EXPERIMENT.results([holed])
    assert problems(shown.page) == []
    assert "nan" not in shown.full_texts[0]
    assert {one.row for one in shown.evidence[0]} == {7, 8, 10, 11, 12, 13}
    nothing = {cell: one for cell, one in cells.items() if cell.role == "data"}
    lone = Built(found.config, "key", nothing, dict.fromkeys(holed.planned[1:], "it failed"))
    bare = EXPERIMENT.results([lone])
    assert "nan" not in bare.full_texts[0]
    assert bare.evidence == ((),)
    assert answer(measure(lone)).sentence == "No network that this verdict needs was built."


def test_a_real_study_of_a_few_images_goes_all_the_way(tmp_path: Path) -> None:
    """Hand-made metrics could drift from those that the stages write."""
    once = Recipe(epochs=1)
    config = RobustFeatures(
        data=SeeFarData(name="seefar", train_rows=60, test_rows=30),
        students=("mlp_bottleneck16",),
        sets=("r_image", "r_noise", "nr_image", "filtered"),
        layers=LayerRobustness(rows=10, steps=2),
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
    found = measure(Built(config, "key", artifacts))
    results = EXPERIMENT.results([found.built])
    assert {one.accuracy.mean.n for one in found.networks} == {60}
    assert {one.at[0.8].worst.mean.n for one in found.networks} == {40}
    assert found.inverted[0].n == 120
    assert found.warnings  # an inversion of two steps has not converged
    assert "inversion has not converged" in Page(results.page).text
    assert "set in doubt" in results.texts[0] or "source failed" in results.texts[0]
    assert len(results.publications[0].children) == 2 * len(found.networks)


def test_every_difference_of_robust_accuracy_is_tested(found: RobustSets) -> None:
    (table,) = [one for one in report(found).tables() if one.name == "tests"]
    expected = [one for student in found.config.students for one in found.above(student).values()]
    assert [line[2].of for line in table.rows] == expected
