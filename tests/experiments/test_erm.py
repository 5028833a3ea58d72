"""The report of the planet: the planted truth is found, rules are rules, and everything that was measured is shown."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import toy
from accessibility import problems
from children import assert_distinct
from pages import Page, seen
from small_worlds import shrink

from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.identity import fingerprint
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments import worlds
from raylab.experiments.erm import EXPERIMENT, Erm, ErmCell, Planet, measure, plan
from raylab.experiments.erm.measure import NetworkOnProbes
from raylab.experiments.erm.report import report
from raylab.experiments.erm.verdict import Expectation, answer, expectations, of_explanations, of_networks
from raylab.experiments.worlds import Reliance, WorldStudy
from raylab.report.files import files
from raylab.report.numbers import number, unbroken
from raylab.report.per_seed import PerSeed
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe

WORLD = SeeFarData(name="seefar", train_rows=500, test_rows=100, shape_amplitude=0.15, toogit_amplitude=0.8)
SEEN = Reliance(0.9, 0.8, 900, 0.0, 0.01, 1 / 9)
UNSEEN = Reliance(0.11, 0.05, 900, 0.6, 0.01, 1 / 9)
AnyCell = ErmCell | worlds.WorldsCell


def config(**changed: Any) -> Erm:
    small: dict[str, Any] = {
        "seeds": (0, 1),
        "data": WORLD,
        "network": "linear",
        "train": Recipe(epochs=6, lr=1e-2),
        "attack": Attack(eps=0.8, steps=5),
        "restricted": None,
        "more_data": None,
        "dimension": None,
        "explain": None,
        "digits": None,
        "attacked_rows": 40,
    }
    return Erm(**{**small, **changed})


def built(given: Erm, store: Store) -> Built[Erm, AnyCell]:
    return Built(given, fingerprint(given), runner.build(plan(given), store, InlineBackend(), toy.Recorder()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("erm") / "store"))


@pytest.fixture(scope="module")
def world(store: Store) -> Planet:
    return measure(built(config(), store))


@pytest.fixture(scope="module")
def silent(store: Store) -> Planet:
    data = WORLD.model_copy(update={"toogit_reliability": 0.1})
    parts: dict[str, Any] = {
        "more_data": {"rows": (100, 300), "passes": 300},
        "dimension": {},
        "explain": {"draws": 2, "rows": 30},
        "digits": {"data": DigitsData(per_class=15), "attack": Attack(eps=2.0, steps=5), "train": Recipe(epochs=4)},
    }
    return measure(built(config(data=data, **parts), store))


def test_a_world_with_non_robust_features_is_found_to_have_them(world: Planet) -> None:
    found = answer(world)
    assert found.badge.words == "as planted"
    assert "in this world they are features. It was made so that they tell the class." in found.sentence
    assert any(one.badge.words == "non-robust feature" for one in of_networks(world) if "D_rand" in one.subject)


def test_the_planted_truth_a_world_without_them_is_found_to_have_none(silent: Planet) -> None:
    found = answer(silent)
    assert found.badge.words == "as planted"
    assert found.sentence.startswith("No network relies on the non-robust features beyond chance")
    assert "It was made so that they tell nothing." in found.sentence
    judged = [one for one in expectations(silent) if one.part == "reliance"]
    assert {one.quantity for one in judged[2:]} == {"relies on the non-robust feature, less chance"}


def test_a_world_that_is_not_as_it_was_made_is_said_to_disagree(silent: Planet) -> None:
    liars = {name: replace(use, reliance=SEEN) for name, use in silent.networks.items()}
    found = answer(replace(silent, networks=liars))
    assert found.badge.words == "not as planted"
    assert "tell nothing, which disagrees" in found.sentence


def test_answers_are_counted_from_the_examples(world: Planet) -> None:
    for name, use in world.networks.items():
        for seed in (0, 1):
            rows = world.built.artifacts[ErmCell("usage", "usage", seed, name, "conflict")].batch()
            assert use.robust[seed].mean == np.mean(rows["prediction"] == rows["shape_class"])
            assert use.non_robust[seed].mean == np.mean(rows["prediction"] == rows["toogit_class"])
            test = world.built.artifacts[ErmCell("test", "usage", seed, name)].batch()
            assert use.accuracy[seed].mean == np.mean(test["prediction"] == test["label"])
            assert world.ceilings["robust feature"][seed].mean == np.mean(test["shape_class"] == test["label"])


def test_page_text_files_and_runs_have_all_parts(silent: Planet) -> None:
    results, shown = EXPERIMENT.results([silent.built]), report(silent)
    names = {picture.name for picture in shown.pictures()}
    assert names >= {"reliance", "accuracy", "examples_usage", "more_data", "dimension", "gradients"}
    parsed, text, full = seen(results, len(names))
    for words in ("300 images", "32² pixels", "a random direction", "python jobs/erm.py"):
        assert words in full
        assert words in parsed.text
    for use in silent.networks.values():
        assert number(use.accuracy.mean) in text
        assert unbroken(number(use.non_robust.mean)) in parsed.text
    lines = [line for name in files(shown) if "statements" in name for line in csv.DictReader(_opened(shown, name))]
    assert [(line["Of"], line["Statement"]) for line in lines if line["Verdict"]] == [
        (one.of, one.quantity) for part in _parts(silent) for one in expectations(silent) if one.part == part
    ]
    (run,) = results.publications
    assert sum(run.parent.metrics.values()) == len(expectations(silent))
    assert EXPERIMENT.opened(silent.config, silent.built.key).key == run.parent.key


def _opened(shown: Any, name: str) -> io.StringIO:
    return io.StringIO(files(shown)[name].decode())


def _parts(planet: Planet) -> list[str]:
    """In the order of the page."""
    there = {one.part for one in expectations(planet)}
    return [part for part in ("reliance", "more data", "more pixels", "explanations") if part in there]


def test_no_two_runs_of_the_tracker_have_the_same_params(silent: Planet) -> None:
    (run,) = EXPERIMENT.results([silent.built]).publications
    assert_distinct(run.children, 2 * (len(silent.networks) + len(silent.points)))
    child = next(one for one in run.children if one.params["network_kind"] == "robust" and one.params["seed"] == 1)
    assert child.metrics["reliance/robust"] == silent.networks["robust"].robust[1].mean
    assert child.params["data.toogit_reliability"] == 0.1


@pytest.mark.parametrize(
    ("means", "badge"),
    [
        ((0.97, 0.972, 0.971), "as expected"),
        ((0.9, 0.902, 0.901), "not as expected"),
        ((0.93, 0.99, 0.96), "cannot decide"),
        ((0.97,), "cannot decide"),
        ((), "not built"),
    ],
)
def test_a_statement_holds_where_its_whole_interval_does(means: tuple[float, ...], badge: str) -> None:
    ours = PerSeed({seed: Estimate(mean, 0.001, 300, 1) for seed, mean in enumerate(means)})
    assert Expectation("reliance", "robust", "q", ours, 0.95).badge.words == badge
    assert Expectation("reliance", "robust", "q", ours).badge.words == ("measured" if means else "not built")


@pytest.mark.parametrize(
    ("robust", "non_robust", "reliance", "badge", "words"),
    [
        (0.99, 0.0, UNSEEN, "robust feature", "relies on the robust feature and never on the non-robust feature"),
        (0.0, 1.0, SEEN, "non-robust feature", "relies on the non-robust feature and never on the robust feature"),
        (0.05, 0.9, SEEN, "non-robust feature", "relies on the non-robust feature and hardly ever on the robust"),
        (0.3, 0.65, SEEN, "both", "relies on both and prefers the non-robust feature"),
        (0.65, 0.3, SEEN, "both", "relies on both and prefers the robust feature"),
        (0.02, 0.5, SEEN, "non-robust feature", "relies on the non-robust feature rather than on the robust feature"),
        (0.495, 0.494, SEEN, "both", "relies on both, and neither is shown to be preferred"),
        (0.3, 0.08, UNSEEN, "non-robust not beyond chance", "does not rely on the non-robust feature beyond chance"),
    ],
)
def test_reliance_is_put_into_words_by_its_intervals(
    robust: float, non_robust: float, reliance: Reliance, badge: str, words: str, world: Planet
) -> None:
    def by_world(mean: float) -> PerSeed:
        return PerSeed({seed: Estimate(mean + 0.001 * seed, 0.002, 1000, 1) for seed in range(3)})

    used = NetworkOnProbes(
        by_world(0.9), by_world(robust), by_world(non_robust), by_world(1.0), by_world(1.0), reliance
    )
    (found,) = of_networks(replace(world, networks={"standard": used}))
    assert found.badge.words == badge
    assert words in found.sentence


@pytest.mark.parametrize(
    ("smoothed", "words"),
    [((0.30, 0.31), "same picture"), ((0.5, 0.51), "another picture"), ((0.30, 0.36), "cannot decide")],
)
def test_smoothing_is_judged_by_the_intervals_of_what_moves(
    silent: Planet, smoothed: tuple[float, ...], words: str
) -> None:
    """Neither finding is a fault of anything: the badge is no warning."""

    def energy(*means: float) -> PerSeed:
        return PerSeed({seed: Estimate(mean, math.nan, 30, 1) for seed, mean in enumerate(means)})

    part = silent.config.explain
    assert part is not None
    still, moved = ({"robust feature": energy(*means)} for means in ((0.2, 0.2001), (0.2005, 0.2002)))
    sigma = part.sigmas[1]
    explained = {
        ("standard", 0.0): {**still, "non-robust feature": energy(0.29, 0.301)},
        ("standard", sigma): {**moved, "non-robust feature": energy(*smoothed)},
    }
    only = silent.config.model_copy(update={"explain": part.model_copy(update={"sigmas": (0.0, sigma)})})
    found = replace(silent, explained=explained, built=replace(silent.built, config=only))
    (one,) = [one for one in of_explanations(found) if one.subject.startswith("smoothing")]
    assert (one.badge.look, one.badge.words) == ("open", words)


def test_holes_are_shown_as_absent_and_judged_as_not_built(silent: Planet) -> None:
    def lost(cell: AnyCell) -> bool:
        roles = ("network", "test", "usage", "explanation", "judged", "perturbation")
        return isinstance(cell, ErmCell) and (
            (cell.role in roles and cell.network in ("", "robust")) or cell.role == "set"
        )

    cells = {cell: one for cell, one in silent.built.artifacts.items() if not lost(cell)}
    missing = {cell: "it failed" for cell in silent.built.artifacts if cell not in cells}
    holed = Built(silent.config, "key", cells, missing)
    found = measure(holed)
    assert {one.subject: one.badge.words for one in of_networks(found)}["robust network"] == "not built"
    badges = {one.of: one.badge.words for one in expectations(found) if one.part == "reliance"}
    assert badges["robust"] == "not built"
    assert badges["standard"] != "not built"
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert not re.search(r"\bnan\b", results.full_texts[0])


def test_digits_alone_have_a_page(silent: Planet) -> None:
    cells = {
        cell: one for cell, one in silent.built.artifacts.items() if isinstance(cell, ErmCell) and cell.part == "digits"
    }
    only = Built(silent.config.model_copy(update={"data": None}), "key", cells)
    results = EXPERIMENT.results([only])
    assert problems(results.page) == []
    assert "the robust network calls 48.0 % of the set by their own class" in results.texts[0].replace("\n", " ")


def test_worlds_that_were_judged_are_on_the_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    few = WorldStudy(
        split="held_out", first=500, without=1, having=1, seeds=2, test_rows=100, attack_steps=2, reliance=True
    )
    shrink(few, monkeypatch)
    judged = built(config(data=None, worlds=few), store)
    results = EXPERIMENT.results([judged])
    assert problems(results.page) == []
    assert "Evidence claimed" in results.texts[0]
    assert "Cases in which it is as the truth demands" in results.full_texts[0]
    assert Page(results.page).text.count("The rule was fixed before any of") == 2
    assert "tables/worlds.csv" in results.publications[0].files
    score = measure(judged).worlds
    assert score is not None
    assert {one.reliance is not None for one in score.judged} == {True}
