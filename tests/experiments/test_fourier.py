"""The rule behind every verdict on the three networks, what is read from a small real run, and what is shown of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy
from accessibility import problems
from children import assert_distinct
from frost_files import write_frosts
from pages import seen

from raylab.core.statistics import Estimate
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.fourier import EXPERIMENT, ByFrequency, Filtered, Fourier, FourierCell, measure, plan
from raylab.experiments.fourier.config import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.experiments.fourier.figures import corrupted_images, noise
from raylab.experiments.fourier.published import FIGURE_1, FIGURE_5, QUOTE, TABLE_2, family
from raylab.experiments.fourier.report import conditions, report
from raylab.experiments.fourier.scoreboard import evidence
from raylab.experiments.fourier.verdict import answer, is_total, of_network, statements, verdicts
from raylab.report.files import files
from raylab.report.numbers import number, unbroken
from raylab.report.per_seed import PerSeed
from raylab.report.terminal import as_text
from raylab.scoreboard.verdict import scored
from raylab.stages import frost as frosts
from raylab.stages.corruption import DEFAULT, NAMES, Corruptions, FilteredNoise
from raylab.stages.dataset import SeeFarData
from raylab.stages.frost import photographs
from raylab.stages.further import FurtherTest
from raylab.stages.recipe import Adversary, Recipe

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
def found(tmp_path_factory: pytest.TempPathFactory) -> ByFrequency:
    store = Store(str(tmp_path_factory.mktemp("store")))
    return measure(Built(CONFIG, "0" * 64, runner.build(plan(CONFIG), store, InlineBackend(), toy.Recorder())))


def with_errors(
    found: ByFrequency, errors: Mapping[str, tuple[float, float, float]], noise: float = 0.004
) -> ByFrequency:
    """The same with clean, low and high errors of each network that differ a little by seed."""
    profiles = {}
    for name, (clean, low, high) in errors.items():
        shift = {seed: noise * (k - 1) * (1 if name == STANDARD else -1) for k, seed in enumerate((0, 1, 2))}
        by = {
            band: PerSeed({seed: Estimate(value + shift[seed], 0.001, 1000, 1) for seed in (0, 1, 2)})
            for band, value in (("low", low), ("middle", low), ("high", high), ("centre", low))
        }
        rises = {band: of_band - clean for band, of_band in by.items()}
        clean_by_seed = PerSeed({seed: Estimate(clean, 0.001, 1000, 1) for seed in (0, 1, 2)})
        profiles[name] = replace(found.profiles[name], clean=clean_by_seed, errors=by, rises=rises)
    return replace(found, profiles=profiles)


FLIP = {STANDARD: (0.09, 0.31, 0.39), GAUSSIAN: (0.16, 0.38, 0.26), ADVERSARIAL: (0.16, 0.48, 0.163)}


def test_a_flip_takes_both_halves_as_measured_and_net_of_clean_errors(found: ByFrequency) -> None:
    flipped = with_errors(found, FLIP)
    judged = of_network(flipped, ADVERSARIAL)
    assert judged.badge == ("good", "flip")
    assert [one.badge.words for one in statements(flipped, ADVERSARIAL)] == ["shown"] * 4
    assert "total" in judged.sentence
    only_worse = {**FLIP, ADVERSARIAL: (0.26, 0.45, 0.263)}  # worse at low frequencies by its clean error alone
    assert of_network(with_errors(found, only_worse), ADVERSARIAL).badge.words != "flip"


def test_a_network_that_is_better_at_low_frequencies_too_is_no_flip(found: ByFrequency) -> None:
    digits = {STANDARD: (0.03, 0.26, 0.065), GAUSSIAN: (0.03, 0.2, 0.056), ADVERSARIAL: (0.1, 0.21, 0.11)}
    judged = of_network(with_errors(found, digits), ADVERSARIAL)
    assert judged.badge == ("warn", "no flip")
    assert "helps at low frequencies" in judged.sentence
    assert not is_total(with_errors(found, digits), ADVERSARIAL)  # the standard network is untouched there as well


def test_a_half_whose_interval_holds_zero_is_not_decided(found: ByFrequency) -> None:
    same_low = with_errors(found, {**FLIP, ADVERSARIAL: (0.16, 0.375, 0.163)}, noise=0.02)
    assert of_network(same_low, ADVERSARIAL).badge.words == "high half only"
    assert statements(same_low, ADVERSARIAL)[3].badge.words == "not decided"


def test_harm_at_high_frequencies_is_said_as_loudly(found: ByFrequency) -> None:
    judged = of_network(with_errors(found, {**FLIP, ADVERSARIAL: (0.16, 0.48, 0.6)}), ADVERSARIAL)
    assert judged.badge == ("warn", "no flip")
    assert "does not help at high frequencies" in judged.sentence


def test_one_seed_decides_nothing(found: ByFrequency) -> None:
    one = Built(CONFIG.model_copy(update={"seeds": (0,)}), "key", found.built.artifacts)
    assert of_network(replace(with_errors(found, FLIP), built=one), ADVERSARIAL).badge.words == "one seed"
    assert {judged.badge.words for judged in (*verdicts(measure(one)), answer(measure(one)))} == {"one seed"}


def test_total_is_untouched_where_the_standard_network_is_not(found: ByFrequency) -> None:
    assert is_total(with_errors(found, FLIP), ADVERSARIAL)
    assert not is_total(with_errors(found, {**FLIP, ADVERSARIAL: (0.16, 0.48, 0.26)}), ADVERSARIAL)


def test_the_answer_names_the_trainings_that_flip_and_what_holds_of_the_others(found: ByFrequency) -> None:
    one = answer(with_errors(found, FLIP))
    assert one.badge.words == "flip"
    assert one.sentence.startswith("Adversarial training makes a network less sensitive to high frequencies and more")
    assert "(Gaussian: high half only)" in one.sentence
    both = answer(with_errors(found, {**FLIP, GAUSSIAN: (0.16, 0.43, 0.26)}))
    assert both.sentence.startswith("Training of either kind (adversarial and Gaussian) makes a network less sensitive")
    neither = answer(with_errors(found, dict.fromkeys(NETWORKS, (0.1, 0.3, 0.3))))
    assert neither.badge == of_network(with_errors(found, dict.fromkeys(NETWORKS, (0.1, 0.3, 0.3))), ADVERSARIAL).badge
    assert neither.sentence.startswith("Neither training is shown to make a network less sensitive")


def test_numbers_of_a_run_are_those_of_its_artifacts(found: ByFrequency) -> None:
    fog, gap = found.corruption("fog"), found.corruption("contrast")
    assert fog is not None
    assert gap is not None
    rights = [a.batch()["right"].astype(float) for c, a in found.built.artifacts.items() if c.role == "changed"]
    for k, name in enumerate(NETWORKS):
        assert fog.accuracy[name].mean.mean == pytest.approx(np.mean([right[:, k, :5].mean() for right in rights]))
        assert [one.mean.mean for one in fog.by_severity[name]] == pytest.approx(
            np.mean([right[:, k, :5].mean(axis=0) for right in rights], axis=0)
        )
    assert fog.accuracy[STANDARD].mean.n == 60
    means = {name: one.mean.mean for name, one in fog.accuracy.items()}
    assert fog.above[ADVERSARIAL].mean.mean == pytest.approx(means[ADVERSARIAL] - means[STANDARD])
    lost = {name: one.mean.mean for name, one in gap.lost.items()}
    assert gap.beyond[ADVERSARIAL].mean.mean == pytest.approx(lost[STANDARD] - lost[ADVERSARIAL])


def test_a_plane_holds_the_mean_of_the_seeds_maps_mirrored(found: ByFrequency) -> None:
    plane = found.profiles[GAUSSIAN].plane
    assert plane is not None
    cells = found.built.artifacts.items()
    tables = [a.batch() for c, a in cells if c.role == "heat_map" and c.network == GAUSSIAN]
    for k in (3, 50, 120):
        i, j = int(tables[0]["i"][k]), int(tables[0]["j"][k])
        expected = np.mean([table["errors"][k] / table["n"][k] for table in tables])
        assert plane[i + 8, j + 8] == pytest.approx(expected)
        assert plane[(8 - i) % 16, (8 - j) % 16] == pytest.approx(expected)


def test_evidence_names_rows_that_there_are_and_points_as_the_maps_do(found: ByFrequency) -> None:
    ours = list(evidence(with_errors(found, FLIP)))
    assert {one.row for one in ours} == {21, 22, 23, 24, 25, 27}
    lines = {line.row.row: line for line in scored(ours)}
    assert lines[21].code == "same_direction"
    assert all(one.protocol for one in ours)
    turned = {name: (clean, high, low) for name, (clean, low, high) in FLIP.items()}
    assert {line.row.row: line.code for line in scored(evidence(with_errors(found, turned)))}[21] == "contradicted"


def test_what_hardly_costs_the_standard_network_cannot_contradict(found: ByFrequency) -> None:
    fog = found.corruption("fog")
    assert fog is not None

    def undecided(lost: float) -> str:
        change = replace(fog, lost={**fog.lost, STANDARD: PerSeed({0: Estimate(lost, 0.01, 60, 1)})})
        ours = evidence(replace(found, corruptions=(change,)))
        return next(one.undecided for one in ours if one.name == "adversarial minus natural")

    assert undecided(0.01) == "it costs the standard network 1.0 points only"
    assert undecided(0.2) == ""


def test_page_text_files_and_runs_have_all_parts(found: ByFrequency) -> None:
    shown = report(found)
    results = EXPERIMENT.results([found.built])
    parsed, text, full = seen(results, 8)
    assert len(list(shown.pictures())) == 8
    for name in NETWORKS:
        assert number(found.profiles[name].errors["low"].mean) in text
        assert unbroken(number(found.accuracy[name].mean)) in parsed.text
    for words in ("85.66 to 55.29", "fog 90 to 73", "low-pass 3", "net of clean errors", "Wide ResNet 28-10"):
        assert words in " ".join(full.split())
        assert unbroken(words) in parsed.text
    assert all(unbroken(one.sentence) in parsed.text for one in verdicts(found))
    (run,) = results.publications
    assert run.parent.metrics["accuracy/standard"] == found.accuracy[STANDARD].mean.mean
    assert EXPERIMENT.results([found.built]).publications == results.publications


def test_a_quotation_stands_only_where_its_corruptions_are(found: ByFrequency) -> None:
    without = replace(found, corruptions=tuple(one for one in found.corruptions if one.what == "shot_noise"))
    assert " ".join(QUOTE.split()) not in " ".join(as_text(report(without), full=True).split())


def test_tables_hold_every_number_and_that_of_the_maps_every_place(found: ByFrequency) -> None:
    kept = {path: list(csv.DictReader(io.StringIO(data.decode()))) for path, data in files(report(found)).items()
            if path.endswith(".csv")}  # fmt: skip
    bands = {row["Network"]: row for row in kept["tables/bands.csv"]}
    assert float(bands["adversarial"]["high n"]) == 180
    severity = next(row for row in kept["tables/severities.csv"] if row["Corruption"] == "fog")
    assert 0 <= float(severity["5"]) <= 1
    assert [row["Band"] for row in kept["tables/kept.csv"]] == ["low-pass 3", "high-pass 11"]
    places = kept["tables/heat_maps.csv"]
    assert len(places) == 256
    assert (places[0]["i"], places[0]["j"]) == ("-8", "-8")


def test_no_two_runs_of_the_tracker_have_the_same_params(found: ByFrequency) -> None:
    (run,) = EXPERIMENT.results([found.built]).publications
    assert_distinct(run.children, 3 * (len(NETWORKS) + 2))
    child = next(one for one in run.children if one.name == "mlp adversarial whole seed 1")
    assert child.metrics["accuracy/test"] == found.accuracy[ADVERSARIAL][1].mean
    assert child.metrics["error/high"] == found.profiles[ADVERSARIAL].errors["high"][1].mean
    assert child.tags["verdict"] == of_network(found, ADVERSARIAL).badge.words
    assert child.inputs[0].digest == found.built.artifacts[FourierCell("data", 1)].digest


@pytest.mark.parametrize("lacking", ["heat_map", "changed noise filtered band", "shown test network"])
def test_holes_are_shown_as_absent_and_judged_as_not_built(found: ByFrequency, lacking: str) -> None:
    gone = {cell for cell in found.built.artifacts if cell.role in lacking.split() and cell.network != STANDARD}
    cells = {cell: one for cell, one in found.built.artifacts.items() if cell not in gone}
    holed = Built(CONFIG, "key", cells, dict.fromkeys(gone, "it failed"))
    words = {one.badge.words for one in (*verdicts(measure(holed)), answer(measure(holed)))}
    assert (words == {"not built"}) == (lacking == "heat_map")
    results = EXPERIMENT.results([holed])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0].replace("nance", "")
    assert all(one.ours.seeds for one in results.evidence[0])


def test_a_study_of_which_nothing_but_the_data_was_built_has_a_page(found: ByFrequency) -> None:
    cells = {cell: one for cell, one in found.built.artifacts.items() if cell.role == "data"}
    gone = {cell: "it failed" for cell in found.built.artifacts if cell not in cells}
    assert "not built" in EXPERIMENT.results([Built(CONFIG, "key", cells, gone)]).page


def test_a_page_shows_frost_with_the_photographs_that_the_networks_were_asked_with(
    found: ByFrequency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frosts, "PUBLISHED", write_frosts(tmp_path))
    assert CONFIG.corruptions is not None
    change = CONFIG.corruptions.model_copy(update={"names": ("frost",), "frost": str(tmp_path)})
    cells = plan(CONFIG.model_copy(update={"seeds": (0,), "corruptions": change}))
    assert cells[FourierCell("changed", 0)].inputs["frost"] == cells[FourierCell("frost", 0)]
    made = runner.build(
        {"frost": cells[FourierCell("frost", 0)]}, Store(str(tmp_path)), InlineBackend(), toy.Recorder()
    )
    asked = replace(found, corruptions=(replace(found.corruptions[0], what="frost"),))
    assert len(photographs(made["frost"])) == 5
    without = corrupted_images(asked)
    artifacts = {**found.built.artifacts, FourierCell("frost", 0): made["frost"]}
    frosty = corrupted_images(replace(asked, built=replace(found.built, artifacts=artifacts)))
    assert without is not None
    assert frosty is not None
    assert ("frost" in without.alt, "frost" in frosty.alt) == (False, True)


def test_published_numbers_are_those_of_the_paper() -> None:
    """The table has neither Gaussian noise nor three of CIFAR-10-C's that the default leaves out."""
    assert set(TABLE_2) == set(DEFAULT) - {"gaussian_noise"}
    assert [round(np.mean([by[name] for by in TABLE_2.values()]), 2) for name in NETWORKS] == [0.77, 0.83, 0.81]
    assert FIGURE_5["high", 3][GAUSSIAN] == 0.88
    assert FIGURE_1["high"][105] == 0.51


def test_published_points_stand_beside_noise_of_their_size_on_images_of_theirs(found: ByFrequency) -> None:
    def marks(name: str) -> list[int]:
        """How many points the dotted series of a figure of noise have."""
        data, added = CONFIG.data.model_copy(update={"name": name}), FilteredNoise(norm=8.0, low=(3,), high=(3,))
        config = CONFIG.model_copy(update={"data": data, "noise": added})
        low, _ = noise(replace(found, built=replace(found.built, config=config), shape=(3, 32, 32)))
        return [len(line.get_xdata()) for line in low.figure.axes[0].lines if line.get_markerfacecolor() == "none"]

    assert marks("cifar10") == [3, 3, 3]
    assert marks("seefar") == []


def test_every_corruption_has_a_family_of_few() -> None:
    families = [family(name) for name in NAMES]
    assert {kind: families.count(kind) for kind in families} == {"noise": 4, "blur": 5, "weather": 5, "others": 5}


def test_every_statement_is_tested(found: ByFrequency) -> None:
    (table,) = [one for one in report(found).tables() if one.name == "tests"]
    stated = [one.difference for name in (ADVERSARIAL, GAUSSIAN) for one in statements(found, name)]
    assert [line[2].of for line in table.rows] == stated


def test_accuracy_on_further_test_images_stands_beside_that_on_the_test_images(found: ByFrequency) -> None:
    noisy, artifacts = FurtherTest(data=SeeFarData(name="seefar", noise=0.3)), found.built.artifacts
    asked = {c._replace(role="further", on="noisy"): of for c, of in artifacts.items() if c.role == "test"}
    config = CONFIG.model_copy(update={"evaluate_on": {"noisy": noisy}})
    beside = measure(Built(config, "key", {**artifacts, **asked}))
    assert all(beside.further[name]["noisy"].mean == beside.accuracy[name].mean for name in NETWORKS)
    assert sum("accuracy_on/noisy" in one.metrics for one in conditions(beside)) == len(NETWORKS)
    (table,) = [one for one in report(beside).tables() if one.name == "bands"]
    assert "Accuracy on noisy" in table.header
