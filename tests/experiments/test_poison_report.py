"""What is read from the results of the poisons, the rule behind every verdict, and what is shown of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import toy
from accessibility import problems
from children import assert_distinct
from pages import Page, seen

from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.poison import EXPERIMENT, PoisonCell, Poisons, PoisonStudy, measure, plan
from raylab.experiments.poison.measure import FEATURES, Key, Victim
from raylab.experiments.poison.plan import DEFENCES, Defence
from raylab.experiments.poison.report import conditions, report
from raylab.experiments.poison.scoreboard import GATE, evidence
from raylab.experiments.poison.verdict import defended, lost, of_poison, of_trigger, robustness_lost, verdicts
from raylab.report.numbers import number, unbroken
from raylab.report.per_seed import PerSeed
from raylab.report.samples import EXAMPLES
from raylab.scoreboard.rows import all_rows
from raylab.scoreboard.verdict import scored
from raylab.stages.dataset import SeeFarData
from raylab.stages.further import FurtherTest

CONFIG = load(
    PoisonStudy,
    """
data: {name: seefar, train_rows: 200, test_rows: 60}
seeds: [0, 1]
base: 40
attack: {eps: 0.8, steps: 3}
train: {epochs: 2}
robust: {epochs: 2, adversary: {eps: 0.8, steps: 2, step_share: 0.5}}
shares: [0.5]
trigger: {eps: [0.8]}
robustness: {eps: [0.8], pgd_steps: 2, ensemble: null, rows: 30}
neighbours: 50
""",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built[PoisonStudy, PoisonCell]:
    store = Store(str(tmp_path_factory.mktemp("poison") / "store"))
    return Built(CONFIG, "key", runner.build(plan(CONFIG), store, InlineBackend(), toy.Recorder()))


@pytest.fixture(scope="module")
def found(built: Built[PoisonStudy, PoisonCell]) -> Poisons:
    return measure(built)


def shares(*values: float, n: int = 1000) -> PerSeed:
    return PerSeed({seed: Estimate(value, (value * (1 - value) / n) ** 0.5, n, 1) for seed, value in enumerate(values)})


def victim(*accuracy: float, robust: tuple[float, ...] = ()) -> Victim:
    nothing = PerSeed({})
    return Victim(shares(*accuracy), shares(*(0.0 for _ in accuracy)), nothing, nothing, shares(*robust), {})


def with_accuracies(found: Poisons, standard: Victim, adversarial: Victim, clean: Victim, hardened: Victim) -> Poisons:
    """The same study with other accuracies of P1 and of clean data."""
    changed = {
        Key("p1", "standard"): standard,
        Key("p1", "adversarial"): adversarial,
        Key("clean", "standard"): clean,
        Key("clean", "adversarial"): hardened,
    }
    return replace(found, victims={**found.victims, **changed}, collapsed=())


CLEAN, HARD = victim(0.92, 0.91), victim(0.84, 0.83, robust=(0.7, 0.72))


def test_a_poison_that_harms_is_undone_where_adversarial_training_keeps_what_it_has(found: Poisons) -> None:
    saved = with_accuracies(found, victim(0.20, 0.21), victim(0.83, 0.82, robust=(0.69, 0.71)), CLEAN, HARD)
    assert of_poison(saved, "p1").badge.words == "harms, undone"
    assert "less robust accuracy" not in of_poison(saved, "p1").sentence
    partly = with_accuracies(found, victim(0.20, 0.21), victim(0.40, 0.41), CLEAN, HARD)
    assert of_poison(partly, "p1").badge.words == "harms, partly undone"
    below = with_accuracies(found, victim(0.70, 0.71), victim(0.60, 0.61), CLEAN, victim(0.65, 0.66))
    assert of_poison(below, "p1").badge.words == "harms, not undone"


def test_no_harm_is_no_verdict_on_the_defence_but_robustness_lost_is_said(found: Poisons) -> None:
    spared = with_accuracies(found, victim(0.92, 0.91), victim(0.90, 0.91, robust=(0.01, 0.02)), CLEAN, HARD)
    said = of_poison(spared, "p1")
    assert said.badge.words == "no harm shown"
    assert "has 69.5 ±" in said.sentence
    assert "less robust accuracy than on clean data" in said.sentence


def test_one_seed_and_a_failed_training_allow_nothing(found: Poisons) -> None:
    harmed = with_accuracies(found, victim(0.20, 0.21), victim(0.83, 0.82), CLEAN, HARD)
    alone = with_accuracies(found, victim(0.20), victim(0.83, 0.82), CLEAN, HARD)  # of two seeds one was built
    assert of_poison(alone, "p1").badge.words == "one seed"
    failed = replace(harmed, collapsed=("clean, seed 0: it collapsed",))
    assert of_poison(failed, "p1").badge.words == "training failed"


def test_differences_are_paired_by_seed(found: Poisons) -> None:
    harmed = with_accuracies(found, victim(0.20, 0.30), victim(0.83, 0.80), victim(0.90, 0.95), HARD)
    assert lost(harmed, "p1").mean.mean == pytest.approx((0.70 + 0.65) / 2)
    assert defended(harmed, "p1").mean.mean == pytest.approx((0.63 + 0.50) / 2)
    assert lost(harmed, "p1", "adversarial").mean.mean == pytest.approx((0.01 + 0.03) / 2)
    assert not robustness_lost(harmed, "p1")


@pytest.mark.parametrize(("standard", "adversarial", "badge"), [
    ((0.99, 0.98), (0.01, 0.02), "succeeds, undone"),
    ((0.99, 0.98), (0.90, 0.91), "succeeds on both"),
    ((0.30, 0.31), (0.01, 0.02), "seldom succeeds"),
    ((0.02, 0.01), (0.01, 0.02), "no success shown"),
])  # fmt: skip
def test_whether_a_trigger_succeeds_is_a_rule(
    found: Poisons, standard: tuple[float, float], adversarial: tuple[float, float], badge: str
) -> None:
    triggered = dict(found.triggered)
    for defence, rates in (("standard", standard), ("adversarial", adversarial)):
        key = Key("clean_label", defence, 1.0, 0.8)  # type: ignore[arg-type]
        triggered[key] = replace(triggered[key], rate=shares(*rates), before=shares(0.01, 0.02))
    assert of_trigger(replace(found, triggered=triggered), "clean_label", 0.8).badge.words == badge


@pytest.mark.parametrize("defence", ["standard", "adversarial"])
def test_a_trigger_without_networks_that_never_saw_it_is_not_judged(found: Poisons, defence: Defence) -> None:
    triggered = dict(found.triggered)
    key = Key("clean_label", defence, 1.0, 0.8)
    triggered[key] = replace(triggered[key], before=PerSeed({}))
    assert of_trigger(replace(found, triggered=triggered), "clean_label", 0.8).badge.words == "not built"


def test_answers_are_counted_from_the_examples(found: Poisons) -> None:
    key = Key("p1", "standard")
    cells = found.built.artifacts
    for seed in (0, 1):
        rows = cells[PoisonCell("victim", seed, *key)].batch()
        assert found.victims[key].accuracy[seed].mean == np.mean(rows["prediction"] == rows["label"])
        assert found.victims[key].previous[seed].mean == np.mean(rows["prediction"] == (rows["label"] - 1) % 10)
        assert (cells[PoisonCell("heldout", seed, *key)].batch()["l2"] > 0).all()
    assert found.victims[key].heldout.mean.n == 120


def test_what_is_seen_of_a_set_is_counted_by_training_image(found: Poisons) -> None:
    cells = found.built.artifacts
    for name in ("p1", "p2"):
        seen, metrics = found.sets_seen[name], [cells[PoisonCell("attack", seed, name)].metrics for seed in (0, 1)]
        assert seen.success.mean.mean == pytest.approx(np.mean([one["success"] for one in metrics]))
        assert seen.success.mean.n == sum(one["n"] for one in metrics)
        near = [cells[PoisonCell("neighbours", seed, name)].metrics["says_original"] for seed in (0, 1)]
        assert seen.nearest.mean.mean == pytest.approx(np.mean(near))


def test_feature_reliance_counts_no_answer_twice(found: Poisons) -> None:
    hits = []
    for seed in (0, 1):
        rows = found.built.artifacts[PoisonCell("usage", seed, "p1", "standard")].batch()
        apart = (rows["toogit_class"] - 1) % 10 != rows["shape_class"]
        hits.append(np.mean(rows["prediction"][apart] == (rows["toogit_class"][apart] - 1) % 10))
    reliance = found.victim("p1", "standard").reliance
    assert reliance[FEATURES[2]].mean.mean == pytest.approx(np.mean(hits))
    assert sum(one.mean.mean for one in reliance.values()) <= 1


def test_a_trigger_is_counted_on_images_of_other_classes_beside_who_never_saw_it(found: Poisons) -> None:
    key, cells = Key("changed_label", "standard", 1.0, 0.8), found.built.artifacts
    rows = cells[PoisonCell("obeys", 1, *key)].batch()
    other = rows["label"] != 0
    assert found.triggered[key].rate[1].mean == np.mean(rows["prediction"][other] == 0)
    assert found.triggered[key].rate[1].n == other.sum()
    never = cells[PoisonCell("obeys", 1, "clean", "standard", 1.0, 0.8)].batch()
    assert found.triggered[key].before[1].mean == np.mean(never["prediction"][other] == 0)
    planted = [cells[PoisonCell("set", seed, "changed_label", eps=0.8)].batch()["poisoned"].sum() for seed in (0, 1)]
    assert found.triggered[key].planted == sum(planted)


def test_the_oracles_see_the_faint_feature_turned_and_the_robust_one_kept(found: Poisons) -> None:
    read = {name: one.mean.mean for name, one in found.sets_seen["p5"].oracles.items()}
    assert read["robust feature kept"] > 0.9
    assert read["non-robust feature of label + 1"] < 0.5 < read["non-robust feature of the label"]


def test_row_44_gets_both_trainings_and_their_difference_and_is_decided_by_what_was_measured(found: Poisons) -> None:
    harmed = with_accuracies(found, victim(0.20, 0.21), victim(0.83, 0.82), CLEAN, HARD)

    def with_success(of: Poisons, rate: float) -> Poisons:
        seen = replace(found.sets_seen["p1"], success=shares(rate, rate))
        return replace(of, sets_seen={**found.sets_seen, "p1": seen})

    flipped = with_success(harmed, 0.9)
    by_name = {one.name: one for one in evidence(flipped)}
    assert {one.row for one in by_name.values()} == {44}
    assert by_name["adversarial minus standard training"].ours.mean == pytest.approx(0.62)
    assert all("See-Far" in one.protocol and "mlp" in one.protocol for one in by_name.values())
    line = next(line for line in scored(evidence(flipped)) if line.row.row == 44)
    assert line.code == "same_direction"
    cramped = with_success(with_accuracies(found, victim(0.70, 0.71), victim(0.75, 0.74), CLEAN, HARD), 0.9)
    said = {one.undecided for one in evidence(cramped) if "minus" in one.name}
    assert said == {"adversarial training on clean data is 13 points above standard training on P1"}
    assert next(line for line in scored(evidence(cramped)) if line.row.row == 44).code == "inconclusive"
    weak = with_success(harmed, 0.2)
    assert all(one.undecided == "the attack succeeds on 20 % only" for one in evidence(weak) if "minus" in one.name)


def test_the_criterion_of_row_44_is_the_one_that_undecided_speaks_of() -> None:
    criterion = next(row for row in all_rows() if row.row == 44).criteria["adversarial minus standard training"]
    assert criterion.at_least == GATE


def test_page_text_files_and_runs_have_all_parts(found: Poisons) -> None:
    shown = report(found)
    results = EXPERIMENT.results([found.built])
    parsed, text, full = seen(results, 6)
    assert len(list(shown.pictures())) == 6
    for key, one in found.victims.items():
        if key.of in found.sets and key.share == 1.0:
            assert unbroken(number(one.accuracy.mean)) in parsed.text
            assert number(one.accuracy.mean) in text
    for verdict in verdicts(found):
        assert verdict.subject in full
        assert unbroken(verdict.sentence) in parsed.text
    (run,) = results.publications
    lines = list(csv.DictReader(io.StringIO(run.files["tables/victims.csv"].decode())))
    assert len(lines) == 2 * len(found.sets)
    p1 = next(line for line in lines if (line["Trained on"][:2], line["Training"][:8]) == ("P1", "standard"))
    assert float(p1["Lost to the poison, points"]) == pytest.approx(lost(found, "p1").mean.mean, rel=1e-4)
    table = json.loads(run.files["tables/victims.json"])
    assert table["columns"] == list(lines[0])
    assert [str(cell) for cell in table["data"][0]] == list(lines[0].values())
    assert run.parent.key == EXPERIMENT.opened(CONFIG, "key").key == "key"
    assert EXPERIMENT.results([found.built]).publications == results.publications


def test_no_two_runs_of_the_tracker_have_the_same_params(found: Poisons) -> None:
    (run,) = EXPERIMENT.results([found.built]).publications
    assert_distinct(run.children, 2 * len(found.victims))
    child = next(one for one in run.children if one.name == "p1 standard 1.0 0.0 seed 1")
    assert child.metrics["accuracy/test"] == found.victim("p1", "standard").accuracy[1].mean
    assert child.params["attack.eps"] == 0.8
    assert child.params["data.train_rows"] == 200
    assert child.tags["verdict"] == of_poison(found, "p1").badge.words
    assert child.inputs[0].digest == found.built.artifacts[PoisonCell("set", 1, "p1")].digest


def test_the_examples_are_the_same_images_in_every_set(found: Poisons) -> None:
    (picture,) = (one for one in report(found).pictures() if one.name == "examples")
    sets = dict(part.split(": ", 1) for part in picture.alt.removeprefix("Poisoned images. ").split("; "))
    clean, noisy = sets["clean"].rstrip(".").split(", "), sets["P5 class-wide noise"].rstrip(".").split(", ")
    assert len(clean) == len(set(clean)) == EXAMPLES
    assert noisy == [*clean, "added"]


def test_a_study_without_trigger_shares_and_known_features_has_a_page(found: Poisons) -> None:
    config = CONFIG.model_copy(update={"trigger": None, "shares": (), "poisons": ("p1",), "robustness": None})
    cells = {cell: found.built.artifacts[cell] for cell in plan(config) if cell.role not in ("usage", "oracles")}
    results = EXPERIMENT.results([Built(config, "key", cells)])
    parsed = Page(results.page)
    assert parsed.open == []
    assert "What is true here" not in parsed.text
    assert "A planted trigger" not in parsed.text
    assert "P2" not in results.full_texts[0]


def test_holes_are_shown_as_absent_and_judged_as_not_built(found: Poisons) -> None:
    lacking = {"p1": ("victim", "network", "heldout", "robust", "usage"), "p3": ("set",)}
    cells = {cell: one for cell, one in found.built.artifacts.items() if cell.role not in lacking.get(cell.of, ())}
    missing = {cell: "it failed" for cell in found.built.artifacts if cell not in cells}
    holed = Built(CONFIG, "key", cells, missing)
    judged = {one.subject[:2]: one.badge.words for one in verdicts(measure(holed))}
    assert judged["P1"] == "not built"
    assert judged["P2"] == of_poison(found, "p2").badge.words
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0]
    assert not results.evidence[0]


def test_every_difference_of_the_verdicts_is_tested(found: Poisons) -> None:
    (table,) = [one for one in report(found).tables() if one.name == "tests"]
    tested = [line[3].of for line in table.rows]
    poisons = found.sets[1:]
    assert [lost(found, of, how) for of in poisons for how in DEFENCES] == tested[: 2 * len(poisons)]
    assert len(tested) == 3 * len(poisons) + len(found.triggered)


def test_accuracy_on_further_test_images_stands_beside_that_on_the_test_images(
    built: Built[PoisonStudy, PoisonCell], found: Poisons
) -> None:
    noisy = FurtherTest(data=SeeFarData(name="seefar", noise=0.3))
    asked = {c._replace(role="further", on="noisy"): of for c, of in built.artifacts.items() if c.role == "victim"}
    config = CONFIG.model_copy(update={"evaluate_on": {"noisy": noisy}})
    beside = measure(Built(config, "key", {**built.artifacts, **asked}))
    assert beside.victims.keys() == found.victims.keys()
    assert all(one.further["noisy"].mean == one.accuracy.mean for one in beside.victims.values())
    assert all(one.metrics["accuracy_on/noisy"] == one.metrics["accuracy/test"] for one in conditions(beside))
    (table,) = [one for one in report(beside).tables() if one.name == "victims"]
    assert "On noisy" in table.header
