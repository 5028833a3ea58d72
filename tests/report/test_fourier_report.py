"""What is said of the three networks: by rule from made-up maps, and of a real run of a second or two."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from frost_files import write_frosts

from raylab import runner
from raylab.core.statistics import Estimate
from raylab.recipes.fourier import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD, Cell, Filtered, Fourier, plan
from raylab.report.fourier.experiment import EXPERIMENT
from raylab.report.fourier.page import files, page, publication, section
from raylab.report.fourier.panels import corrupted
from raylab.report.fourier.published import FIGURE_1, FIGURE_5, QUOTE, TABLE_2
from raylab.report.fourier.scoreboard import evidence
from raylab.report.fourier.table import Change, Result, measured
from raylab.report.fourier.text import as_csv, as_text, map_csv
from raylab.report.fourier.verdict import is_total, verdict
from raylab.report.scoreboard.verdict import scored
from raylab.runner import InlineBackend
from raylab.stages import frost as frosts
from raylab.stages.corruption import DEFAULT, Corruptions, FilteredNoise
from raylab.stages.dataset import SeeFarData
from raylab.stages.frost import photographs
from raylab.stages.recipe import Adversary, Recipe
from raylab.store import Store
from raylab.study import Built

ONE = Recipe(epochs=1)
CONFIG = Fourier(
    data=SeeFarData(name="seefar", train_rows=120, test_rows=60),
    seeds=(0, 1, 2),
    standard=ONE,
    gaussian=Recipe(epochs=1, gaussian=0.2),
    adversarial=Recipe(epochs=1, adversary=Adversary(eps=0.5, steps=2, step_share=0.5)),
    corruptions=Corruptions(names=("fog", "contrast", "shot_noise", "glass_blur"), rows=20),
    noise=FilteredNoise(norm=6.0, low=(3,), high=(3,), rows=20),
    filtered=Filtered(low=(3,), high=(11,), train=ONE),
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    store = Store(str(tmp_path_factory.mktemp("store")))
    return measured(CONFIG, "0" * 64, runner.build(plan(CONFIG), store, InlineBackend(), toy.Recorder()))


def with_errors(result: Result, errors: Mapping[str, tuple[float, float, float]], noise: float = 0.004) -> Result:
    """The same with clean, low and high errors of each network that differ a little by seed."""
    profiles = {}
    for name, (clean, low, high) in errors.items():
        shift = {seed: noise * (k - 1) * (1 if name == STANDARD else -1) for k, seed in enumerate((0, 1, 2))}
        by = {
            band: {seed: Estimate(value + shift[seed], 0.001, 1000, 1) for seed in (0, 1, 2)}
            for band, value in (("low", low), ("middle", low), ("high", high), ("centre", low))
        }
        rises = {
            band: {seed: replace(one, mean=one.mean - clean) for seed, one in found.items()}
            for band, found in by.items()
        }
        clean_by_seed = {seed: Estimate(clean, 0.001, 1000, 1) for seed in (0, 1, 2)}
        profiles[name] = replace(result.profiles[name], clean=clean_by_seed, errors=by, rises=rises)
    return replace(result, profiles=profiles)


FLIP = {STANDARD: (0.09, 0.31, 0.39), GAUSSIAN: (0.16, 0.38, 0.26), ADVERSARIAL: (0.16, 0.48, 0.163)}


def test_a_flip_takes_both_halves_as_measured_and_net_of_clean_errors(result: Result) -> None:
    found = verdict(with_errors(result, FLIP), ADVERSARIAL)
    assert (found.badge, found.look) == ("flip", "good")
    assert [one.code for one in found.statements] == ["shown"] * 4
    assert "total" in found.sentence
    only_worse = {**FLIP, ADVERSARIAL: (0.26, 0.45, 0.263)}  # worse at low frequencies by its clean error alone
    assert verdict(with_errors(result, only_worse), ADVERSARIAL).badge != "flip"


def test_a_network_that_is_better_at_low_frequencies_too_is_no_flip(result: Result) -> None:
    digits = {STANDARD: (0.03, 0.26, 0.065), GAUSSIAN: (0.03, 0.2, 0.056), ADVERSARIAL: (0.1, 0.21, 0.11)}
    found = verdict(with_errors(result, digits), ADVERSARIAL)
    assert (found.badge, found.look) == ("no flip", "warn")
    assert "helps at low frequencies" in found.sentence
    assert not is_total(with_errors(result, digits), ADVERSARIAL)  # the standard network is untouched there as well


def test_a_half_whose_interval_holds_zero_is_not_decided(result: Result) -> None:
    same_low = {**FLIP, ADVERSARIAL: (0.16, 0.375, 0.163)}
    found = verdict(with_errors(result, same_low, noise=0.02), ADVERSARIAL)
    assert found.badge == "high half only"
    assert found.statements[3].code == "open"


def test_harm_at_high_frequencies_is_said_as_loudly(result: Result) -> None:
    found = verdict(with_errors(result, {**FLIP, ADVERSARIAL: (0.16, 0.48, 0.6)}), ADVERSARIAL)
    assert (found.badge, found.look) == ("no flip", "warn")
    assert "does not help at high frequencies" in found.sentence


def test_one_seed_decides_nothing(result: Result) -> None:
    made = with_errors(result, FLIP)
    one = replace(made, config=CONFIG.model_copy(update={"seeds": (0,)}))
    assert verdict(one, ADVERSARIAL).badge == "one seed"


def test_total_is_untouched_where_the_standard_network_is_not(result: Result) -> None:
    assert is_total(with_errors(result, FLIP), ADVERSARIAL)
    assert not is_total(with_errors(result, {**FLIP, ADVERSARIAL: (0.16, 0.48, 0.26)}), ADVERSARIAL)


def test_numbers_of_a_run_are_those_of_its_artifacts(result: Result) -> None:
    fog = result.corruption("fog")
    assert fog is not None
    rights = [a.batch()["right"].astype(float) for c, a in result.artifacts.items() if c.role == "changed"]
    for k, name in enumerate(NETWORKS):
        assert fog.accuracy[name].mean == pytest.approx(np.mean([right[:, k, :5].mean() for right in rights]))
        assert [e.mean for e in fog.by_severity[name]] == pytest.approx(
            np.mean([right[:, k, :5].mean(axis=0) for right in rights], axis=0)
        )
    assert fog.accuracy[STANDARD].n == 60
    assert fog.above[ADVERSARIAL].mean == pytest.approx(fog.accuracy[ADVERSARIAL].mean - fog.accuracy[STANDARD].mean)
    gap = result.corruption("contrast")
    assert gap is not None
    assert gap.beyond[ADVERSARIAL].mean == pytest.approx(gap.lost[STANDARD].mean - gap.lost[ADVERSARIAL].mean)


def test_a_plane_holds_the_mean_of_the_seeds_maps_mirrored(result: Result) -> None:
    plane = result.profiles[GAUSSIAN].plane
    tables = [a.batch() for c, a in result.artifacts.items() if c.role == "heat_map" and c.network == GAUSSIAN]
    for k in (3, 50, 120):
        i, j = int(tables[0]["i"][k]), int(tables[0]["j"][k])
        expected = np.mean([table["errors"][k] / table["n"][k] for table in tables])
        assert plane[i + 8, j + 8] == pytest.approx(expected)
        assert plane[(8 - i) % 16, (8 - j) % 16] == pytest.approx(expected)


def test_text_and_page_say_the_verdict_the_quotation_and_table_2(result: Result) -> None:
    made = with_errors(result, FLIP)
    text, html = as_text(made), page([section(made)])
    plain = " ".join(text.split())
    for said in ("[flip]", "85.66 to 55.29", "fog 90 to 73", "low-pass 3", "net of clean errors"):
        assert said in plain
    assert max(map(len, text.splitlines())) <= 100
    for said in ("heat", "85.66 to 55.29", "Wide ResNet 28-10", "high-pass 11", "one band teaches"):
        assert said in html
    assert html.count("<img") == 7
    assert 'alt=""' not in html


def test_the_quotation_stands_only_where_its_corruptions_are(result: Result) -> None:
    without = replace(result, corruptions=tuple(c for c in result.corruptions if c.what == "shot_noise"))
    assert " ".join(QUOTE.split()) not in " ".join(as_text(without).split())


def test_csv_holds_every_number_and_the_maps_every_cell(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(result))))
    found = {(r["part"], r["what"], r["level"], r["network"]): r for r in rows}
    assert len(found) == len(rows)
    assert float(found["error", "high", "", ADVERSARIAL]["n"]) == 180
    assert float(found["corruption", "fog", "5", STANDARD]["mean"]) <= 1
    assert ("trained on a band", "high", "11", "") in found
    cells = list(csv.DictReader(io.StringIO(map_csv(result))))
    assert len(cells) == 256
    assert (cells[0]["i"], cells[0]["j"]) == ("-8", "-8")


def test_files_and_records_are_complete_and_the_same_twice(result: Result) -> None:
    one = section(result)
    kept = files(one)
    assert {"fourier.csv", "fourier.txt", "heat_maps.csv", "figures/heat_maps.svg"} <= set(kept)
    assert files(section(result)) == kept
    published = publication(one, kept)
    assert len(published.children) == 9
    assert published.parent.metrics["accuracy.standard"] == pytest.approx(result.accuracy[STANDARD].mean)
    assert "adversarial [" in published.parent.note


def test_evidence_names_rows_that_there_are_and_points_as_the_maps_do(result: Result) -> None:
    made = with_errors(result, FLIP)
    found = list(evidence(made))
    assert {one.row for one in found} == {21, 22, 23, 24, 25, 27}
    lines = {line.row.row: line for line in scored(found)}
    assert lines[21].code == "same_direction"
    assert all(one.protocol for one in found)
    turned = {name: (clean, high, low) for name, (clean, low, high) in FLIP.items()}
    assert {line.row.row: line.code for line in scored(evidence(with_errors(result, turned)))}[21] == "contradicted"


def test_what_hardly_costs_the_standard_network_cannot_contradict(result: Result) -> None:
    fog = result.corruption("fog")
    assert fog is not None

    def undecided(lost: float) -> str:
        change: Change = replace(fog, lost={**fog.lost, STANDARD: Estimate(lost, 0.01, 60, 3)})
        found = evidence(replace(result, corruptions=(change,)))
        return next(one.undecided for one in found if one.name == "adversarial minus natural")

    assert undecided(0.01) == "it costs the standard network 1.0 points only"
    assert undecided(0.2) == ""


def test_a_page_shows_frost_with_the_photographs_that_the_networks_were_asked_with(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frosts, "PUBLISHED", write_frosts(tmp_path))
    change = CONFIG.corruptions.model_copy(update={"names": ("frost",), "frost": str(tmp_path)})
    cells = plan(CONFIG.model_copy(update={"seeds": (0,), "corruptions": change}))
    assert cells[Cell("changed", 0)].inputs["frost"] == cells[Cell("frost", 0)]
    made = runner.build({"frost": cells[Cell("frost", 0)]}, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    asked = replace(result.corruptions[0], what="frost")
    frosty = replace(result, corruptions=(asked,), artifacts={**result.artifacts, Cell("frost", 0): made["frost"]})
    assert len(photographs(made["frost"])) == 5
    assert "1 corruptions" in corrupted(frosty).alt
    assert "<td" in page([section(frosty)])
    with pytest.raises(ValueError, match="photographs of frost to draw from, got none"):
        corrupted(replace(frosty, artifacts=result.artifacts))


def test_published_numbers_are_those_of_the_paper() -> None:
    """The table has neither Gaussian noise nor three of CIFAR-10-C's that the default leaves out."""
    assert set(TABLE_2) == set(DEFAULT) - {"gaussian_noise"}
    assert [round(np.mean([by[name] for by in TABLE_2.values()]), 2) for name in NETWORKS] == [0.77, 0.83, 0.81]
    assert FIGURE_5["high", 3][GAUSSIAN] == 0.88
    assert FIGURE_1["high"][105] == 0.51


def test_results_of_a_built_study_hold_one_of_each(result: Result) -> None:
    given: Any = Built(CONFIG, result.key, result.artifacts)
    found = EXPERIMENT.results([given])
    assert len(found.texts) == len(found.publications) == 1
    assert found.evidence
