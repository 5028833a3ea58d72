"""The report of the planet: the planted truth is found, rules are rules, and everything that was measured is shown."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest
import toy
from rows import estimate

from raylab import runner
from raylab.core.statistics import Estimate
from raylab.identity import fingerprint
from raylab.recipes import worlds
from raylab.recipes.erm import Erm, plan
from raylab.recipes.worlds import Worlds
from raylab.report import worlds as judging
from raylab.report.erm.page import files, page, parent, publication, section
from raylab.report.erm.sentences import sentences
from raylab.report.erm.table import Planet, Use, measured
from raylab.report.erm.text import as_csv, as_text
from raylab.report.erm.verdict import Row, rows
from raylab.report.usage import Followed
from raylab.runner import InlineBackend
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData, SeeFarData
from raylab.stages.recipe import Recipe
from raylab.store import Store

WORLD = SeeFarData(name="seefar", train_rows=500, test_rows=100, shape_amplitude=0.15, toogit_amplitude=0.8)
SEEN = Followed(0.9, 0.8, 900, 0.0, 0.01, 1 / 9)
UNSEEN = Followed(0.11, 0.05, 900, 0.6, 0.01, 1 / 9)


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


def built(given: Erm, store: Store) -> Planet:
    return measured(given, fingerprint(given), runner.build(plan(given), store, InlineBackend(), toy.Recorder()))


@pytest.fixture(scope="module")
def world(report_store: Store) -> Planet:
    return built(config(), report_store)


@pytest.fixture(scope="module")
def silent(report_store: Store) -> Planet:
    data = WORLD.model_copy(update={"toogit_reliability": 0.1})
    parts: dict[str, Any] = {
        "more_data": {"rows": (100, 300), "passes": 300},
        "dimension": {},
        "explain": {"draws": 2, "rows": 30},
        "digits": {"data": DigitsData(per_class=15), "attack": Attack(eps=2.0, steps=5), "train": Recipe(epochs=4)},
    }
    return built(config(data=data, **parts), report_store)


def test_a_world_with_toogits_is_found_to_have_them(world: Planet) -> None:
    said = sentences(world)
    assert "in this world they are a feature. It was made so that toogits tell the class." in said[-1]
    assert any("student of D_rand follows the toogit" in sentence for sentence in said)


def test_the_planted_truth_a_world_without_toogits_is_found_to_have_none(silent: Planet) -> None:
    said = next(sentence for sentence in sentences(silent) if "It was made" in sentence)
    assert said.startswith("No network follows the toogits beyond chance: in this world they are no feature")
    assert said.endswith("It was made so that toogits tell nothing.")
    judged = [row for row in rows(silent) if row.part == "usage"]
    assert {row.quantity.split(":")[1] for row in judged[2:]} == {" follows the toogit, less chance"}


def test_a_world_that_is_not_as_it_was_made_is_said_to_disagree(silent: Planet) -> None:
    liars = {name: replace(use, followed=SEEN) for name, use in silent.networks.items()}
    assert any("tell nothing, which disagrees" in said for said in sentences(replace(silent, networks=liars)))


def test_everything_that_was_measured_is_shown(silent: Planet) -> None:
    shown = section(silent)
    html, text = page([shown]), as_text(silent)
    assert {picture.name for picture in shown.pictures} >= {"erm_seefar", "erm_usage", "erm_grown", "erm_explained"}
    for said in ("300 images", "32² pixels", "a random direction", "python jobs/erm.py configs/erm/worlds.yaml"):
        assert said in html
        assert said in text
    lines = list(csv.DictReader(io.StringIO(as_csv(silent))))
    assert [line["quantity"] for line in lines] == [row.quantity for row in rows(silent)]
    assert html.count("<figure") == len(shown.pictures) == len(re.findall(r'<img [^>]*alt="[^"]{40,}', html))
    assert {"erm.csv", "erm.txt", "figures/erm_usage.svg"} <= set(files(shown))
    assert page([section(silent)]) == html


def test_a_tracker_is_told_every_network_and_how_many_statements_hold(silent: Planet) -> None:
    shown = section(silent)
    told = publication(shown, files(shown))
    assert told.parent.key == parent(silent.config, silent.key).key
    assert sum(told.parent.metrics.values()) == len(shown.rows)
    assert len(told.children) == len(silent.networks)


@pytest.mark.parametrize(
    ("ours", "code"),
    [
        (estimate(0.97, 0.001), "as_told"),
        (estimate(0.9, 0.001), "not_as_told"),
        (estimate(0.96, 0.01), "undecided"),
        (Estimate(0.97, 0.001, 300, 1), "undecided"),
    ],
)
def test_a_statement_holds_where_its_whole_interval_does(ours: Estimate, code: str) -> None:
    assert Row("usage", "q", ours, 0.95).code == code
    assert Row("usage", "q", ours).code == "measured"


@pytest.mark.parametrize(
    ("r", "n", "followed", "said"),
    [
        (0.99, 0.0, UNSEEN, "follows the shape and never the toogit"),
        (0.0, 1.0, SEEN, "follows the toogit and never the shape"),
        (0.05, 0.9, SEEN, "follows the toogit and hardly ever the shape"),
        (0.3, 0.65, SEEN, "uses both and prefers the toogit"),
        (0.65, 0.3, SEEN, "uses both and prefers the shape"),
        (0.02, 0.5, SEEN, "follows the toogit rather than the shape"),
        (0.495, 0.494, SEEN, "uses both, neither shown to be preferred"),
        (0.3, 0.08, UNSEEN, "does not follow the toogit beyond chance"),
    ],
)
def test_usage_is_put_into_words_by_its_intervals(
    r: float, n: float, followed: Followed, said: str, world: Planet
) -> None:
    def by_world(mean: float) -> dict[int, Estimate]:
        return {seed: Estimate(mean + 0.001 * seed, 0.002, 1000, 1) for seed in range(3)}

    used = Use(by_world(0.9), by_world(r), by_world(n), by_world(1.0), by_world(1.0), followed)
    assert said in sentences(replace(world, networks={"standard": used}))[0]


def test_worlds_that_were_judged_are_on_the_page(report_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Worlds(split="held_out", first=500, without=1, having=1, seeds=2, test_rows=100, attack_steps=2, usage=True)
    tiny = {
        name: case.model_copy(
            update={"data": case.data.model_copy(update={"train_rows": 100}), "train": Recipe(epochs=1)}
        )
        for name, case in worlds.cases(few).items()
    }
    for module in (worlds, judging):
        monkeypatch.setattr(module, "cases", lambda _: tiny)
    judged = built(config(data=None, worlds=few), report_store)
    assert judged.worlds is not None
    text, html = as_text(judged), page([section(judged)])
    for said in (
        "evidence was claimed",
        "Toogits count (the second rule), fixed before these cases were drawn: right in",
    ):
        assert said in text
    assert html.count("The rule was fixed before any of") == 2
    assert "worlds.csv" in files(section(judged))
    assert {one.used is not None for one in judged.worlds.judged} == {True}
