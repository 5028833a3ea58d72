"""What is read from the results of the poisons, and the rule behind every verdict."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import toy
from accessibility import problems
from test_page import Page

from raylab import runner
from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.recipes.poison import Cell, PoisonStudy, plan
from raylab.report.numbers import number, unbroken
from raylab.report.poison.page import files, page, parent, publication, section
from raylab.report.poison.panels import chosen, examples
from raylab.report.poison.scoreboard import GATE, evidence
from raylab.report.poison.table import Key, Poisons, Victim, measured
from raylab.report.poison.text import as_csv, as_text
from raylab.report.poison.verdict import changes, judged, trigger_verdict, verdict
from raylab.report.scoreboard.rows import all_rows
from raylab.report.scoreboard.verdict import scored
from raylab.report.terminal import WIDTH
from raylab.runner import InlineBackend
from raylab.store import Store

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
def found(tmp_path_factory: pytest.TempPathFactory) -> Poisons:
    store = Store(str(tmp_path_factory.mktemp("poison") / "store"))
    return measured(CONFIG, "key", runner.build(plan(CONFIG), store, InlineBackend(), toy.Recorder()))


def shares(*values: float, n: int = 1000) -> dict[int, Estimate]:
    return {seed: Estimate(value, (value * (1 - value) / n) ** 0.5, n, 1) for seed, value in enumerate(values)}


def mean(by_seed: dict[int, Estimate]) -> Estimate:
    values = [one.mean for one in by_seed.values()]
    return Estimate(float(np.mean(values)), 0.01, 1000 * len(values), len(values))


def victim(*accuracy: float, robust: tuple[float, ...] | None = None) -> Victim:
    by_seed = shares(*accuracy)
    previous = shares(*(0.0 for _ in accuracy))
    return Victim(
        mean(by_seed), by_seed, mean(previous), previous, mean(by_seed), None, shares(*robust) if robust else None, {}
    )


def told(found: Poisons, standard: Victim, adversarial: Victim, clean: Victim, hardened: Victim) -> Poisons:
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
    saved = told(found, victim(0.20, 0.21), victim(0.83, 0.82, robust=(0.69, 0.71)), CLEAN, HARD)
    assert verdict(saved, "p1").badge == "harms, undone"
    assert "less robust accuracy" not in verdict(saved, "p1").sentence
    lost = told(found, victim(0.20, 0.21), victim(0.40, 0.41), CLEAN, HARD)
    assert verdict(lost, "p1").badge == "harms, partly undone"
    below = told(found, victim(0.70, 0.71), victim(0.60, 0.61), CLEAN, victim(0.65, 0.66))
    assert verdict(below, "p1").badge == "harms, not undone"


def test_no_harm_is_no_verdict_on_the_defence_but_robustness_lost_is_said(found: Poisons) -> None:
    spared = told(found, victim(0.92, 0.91), victim(0.90, 0.91, robust=(0.01, 0.02)), CLEAN, HARD)
    said = verdict(spared, "p1")
    assert said.badge == "no harm shown"
    assert "has 69.5 ±" in said.sentence
    assert "less robust accuracy than on clean data" in said.sentence


def test_one_seed_and_a_collapsed_training_allow_nothing(found: Poisons) -> None:
    harmed = told(found, victim(0.20, 0.21), victim(0.83, 0.82), CLEAN, HARD)
    assert verdict(replace(harmed, config=CONFIG.model_copy(update={"seeds": (0,)})), "p1").badge == "one seed"
    assert verdict(replace(harmed, collapsed=("clean, seed 0: it collapsed",)), "p1").badge == "training failed"


def test_differences_are_paired_by_seed(found: Poisons) -> None:
    harmed = told(found, victim(0.20, 0.30), victim(0.83, 0.80), victim(0.90, 0.95), HARD)
    by = changes(harmed, "p1")
    assert by.lost.mean == pytest.approx((0.70 + 0.65) / 2)
    assert by.defended.mean == pytest.approx((0.63 + 0.50) / 2)
    assert by.paid.mean == pytest.approx((0.01 + 0.03) / 2)
    assert by.robust is None


@pytest.mark.parametrize(("standard", "adversarial", "badge"), [
    ((0.99, 0.98), (0.01, 0.02), "obeyed, undone"),
    ((0.99, 0.98), (0.90, 0.91), "obeyed by both"),
    ((0.30, 0.31), (0.01, 0.02), "seldom obeyed"),
    ((0.02, 0.01), (0.01, 0.02), "not obeyed"),
])  # fmt: skip
def test_who_obeys_a_trigger_is_a_rule(
    found: Poisons, standard: tuple[float, float], adversarial: tuple[float, float], badge: str
) -> None:
    obeyed = dict(found.obeyed)
    for defence, rates in (("standard", standard), ("adversarial", adversarial)):
        key = Key("clean_label", defence, 1.0, 0.8)  # type: ignore[arg-type]
        obeyed[key] = replace(obeyed[key], rate=mean(shares(*rates)), by_seed=shares(*rates), before=shares(0.01, 0.02))
    assert trigger_verdict(replace(found, obeyed=obeyed), "clean_label", 0.8).badge == badge


def test_answers_are_counted_from_the_examples(found: Poisons) -> None:
    key = Key("p1", "standard")
    for seed in (0, 1):
        rows = found.artifacts[Cell("victim", seed, *key)].batch()
        assert found.victims[key].by_seed[seed].mean == np.mean(rows["prediction"] == rows["label"])
        before = np.mean(rows["prediction"] == (rows["label"] - 1) % 10)
        assert found.victims[key].previous_by_seed[seed].mean == before
        heldout = found.artifacts[Cell("heldout", seed, *key)].batch()
        assert (heldout["l2"] > 0).all()
    heldout_accuracy = found.victims[key].heldout
    assert heldout_accuracy is not None
    assert heldout_accuracy.n == 120


def test_what_is_seen_of_a_set_is_counted_by_training_image(found: Poisons) -> None:
    for name in ("p1", "p2"):
        looks, metrics = found.looks[name], [found.artifacts[Cell("attack", seed, name)].metrics for seed in (0, 1)]
        assert looks.success is not None
        assert looks.success.mean == pytest.approx(np.mean([one["success"] for one in metrics]))
        assert looks.success.n == sum(one["n"] for one in metrics)
        near = [found.artifacts[Cell("neighbours", seed, name)].metrics["says_original"] for seed in (0, 1)]
        assert looks.own is not None
        assert looks.own.mean == pytest.approx(np.mean(near))


def test_usage_counts_no_answer_twice(found: Poisons) -> None:
    hits = []
    for seed in (0, 1):
        rows = found.artifacts[Cell("usage", seed, "p1", "standard")].batch()
        apart = (rows["toogit_class"] - 1) % 10 != rows["shape_class"]
        hits.append(np.mean(rows["prediction"][apart] == (rows["toogit_class"][apart] - 1) % 10))
    usage = found.victim("p1", "standard").usage
    assert usage["follow_previous"].mean == pytest.approx(np.mean(hits))
    assert sum(one.mean for one in usage.values()) <= 1


def test_obedience_is_of_images_of_other_classes_and_beside_it_stands_who_never_saw_the_trigger(found: Poisons) -> None:
    key = Key("changed_label", "standard", 1.0, 0.8)
    rows = found.artifacts[Cell("obeys", 1, *key)].batch()
    other = rows["label"] != 0
    assert found.obeyed[key].by_seed[1].mean == np.mean(rows["prediction"][other] == 0)
    assert found.obeyed[key].by_seed[1].n == other.sum()
    never = found.artifacts[Cell("obeys", 1, "clean", "standard", 1.0, 0.8)].batch()
    assert found.obeyed[key].before[1].mean == np.mean(never["prediction"][other] == 0)
    planted = [
        found.artifacts[Cell("set", seed, "changed_label", eps=0.8)].batch()["poisoned"].sum() for seed in (0, 1)
    ]
    assert found.obeyed[key].planted == sum(planted)


def test_the_oracles_see_the_toogit_turned_and_the_shape_kept(found: Poisons) -> None:
    oracles = found.looks["p5"].oracles
    assert oracles["shape kept"].mean > 0.9
    assert oracles["toogit of label + 1"].mean < 0.5 < oracles["toogit of the label"].mean


def test_row_44_gets_both_trainings_and_their_difference_and_is_decided_by_what_was_measured(found: Poisons) -> None:
    harmed = told(found, victim(0.20, 0.21), victim(0.83, 0.82), CLEAN, HARD)
    success = Estimate(0.9, 0.01, 400, 2)
    flipped = replace(harmed, looks={**found.looks, "p1": replace(found.looks["p1"], success=success)})
    by_name = {one.name: one for one in evidence(flipped)}
    assert {one.row for one in by_name.values()} == {44}
    assert by_name["adversarial minus standard training"].ours.mean == pytest.approx(0.62)
    assert all("See-Far" in one.protocol and "mlp" in one.protocol for one in by_name.values())
    line = next(line for line in scored(evidence(flipped)) if line.row.row == 44)
    assert line.code == "same_direction"
    cramped = told(found, victim(0.70, 0.71), victim(0.75, 0.74), CLEAN, HARD)
    cramped = replace(cramped, looks=flipped.looks)
    said = {one.undecided for one in evidence(cramped) if "minus" in one.name}
    assert said == {"adversarial training on clean data is 13 points above standard training on P1"}
    assert next(line for line in scored(evidence(cramped)) if line.row.row == 44).code == "inconclusive"
    weak = replace(harmed, looks={**found.looks, "p1": replace(found.looks["p1"], success=replace(success, mean=0.2))})
    assert all(one.undecided == "the attack succeeds on 20 % only" for one in evidence(weak) if "minus" in one.name)


def test_the_gate_of_row_44_is_the_one_that_undecided_speaks_of() -> None:
    gate = next(row for row in all_rows() if row.row == 44).gates["adversarial minus standard training"]
    assert gate.at_least == GATE


def test_page_text_files_and_runs_tell_all_parts(found: Poisons) -> None:
    shown = section(found)
    html, text, kept = page([shown]), as_text(found), files(shown)
    parsed = Page(html)
    assert parsed.open == []
    assert problems(html) == []
    assert not {name for name, _ in parsed.tags} & {"script", "link", "iframe", "object"}
    assert all(len(image["alt"]) > 40 for image in parsed.every("img"))
    assert len(parsed.every("img")) == len(shown.pictures) == 6
    assert max(map(len, text.splitlines())) <= WIDTH
    for one in found.victims.values():
        if one.usage:
            assert unbroken(number(one.accuracy)) in parsed.text
            assert number(one.accuracy) in text
    for label, one in judged(found):
        assert label in text
        assert unbroken(one.sentence) in parsed.text
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(lines) == len(found.victims)
    p1 = next(line for line in lines if (line["of"], line["defence"], line["share"]) == ("p1", "standard", "1.0"))
    assert float(p1["lost"]) == pytest.approx(changes(found, "p1").lost.mean, rel=1e-4)
    assert set(kept) >= {"poison.csv", "poison.txt", "figures/poison_accuracy.svg"}
    run = publication(shown, kept)
    assert run.parent.key == parent(CONFIG, "key").key
    assert len(run.children) == len({child.key for child in run.children}) == 2 * len(found.victims)
    assert files(section(found)) == kept


def test_the_examples_are_the_same_images_in_every_set(found: Poisons) -> None:
    ids, names = chosen(found, 1)
    assert len(ids) == len(set(names)) == 5
    clean, noisy = examples(found, 1, "clean", ids), examples(found, 1, "p5", ids)
    for before, after in zip(clean, noisy, strict=True):
        assert 0 < float(np.linalg.norm(after - before)) <= 0.8 + 1e-5


def test_a_study_without_trigger_shares_and_known_features_has_a_page(found: Poisons) -> None:
    config = CONFIG.model_copy(update={"trigger": None, "shares": (), "poisons": ("p1",), "robustness": None})
    few = measured(config, "key", {cell: found.artifacts[cell] for cell in plan(config)})
    blind = replace(few, victims={key: replace(one, usage={}) for key, one in few.victims.items()})
    parsed = Page(page([section(blind)]))
    assert parsed.open == []
    assert "What is true here" not in parsed.text
    assert "A planted trigger" not in parsed.text
    assert "P2" not in as_text(blind)
