"""The small worlds from config to page, at sizes that take a second or two."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
import toy
from accessibility import problems
from pages import seen
from pydantic import ValidationError

from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.theory import EXPERIMENT, Theory, TheoryCell, TheoryWorlds, measure, plan
from raylab.experiments.theory.figures import pictures
from raylab.experiments.theory.plan import absent_images
from raylab.experiments.theory.report import WORLDS, report
from raylab.experiments.theory.scoreboard import evidence
from raylab.experiments.theory.verdict import Comparison, compared, counts
from raylab.report.experiment import Results
from raylab.scoreboard.verdict import scored
from raylab.stages.dataset import DigitsData, KnownData
from raylab.stages.quantities import read_quantities
from raylab.stages.theory import Gaussians, Squares, Synthetic
from raylab.stages.two_layer import TwoLayer

SMALL = Theory(
    seeds=(0, 1),
    gaussian=Gaussians(samples=20_000, hard_steps=30),
    two_layer=TwoLayer(lr=1.0, steps=10, eps=(0.01, 0.004), examples=100, dimension=20, width=10),
    two_layer_images=TwoLayer(lr=0.01, steps=5, eps=(0.14,), width=10),
    images=DigitsData(),
    squares=Squares(dimensions=(50, 120), examples=200, test=100, width=16, epochs=2),
    squares_seeds=(0, 1),
    synthetic=Synthetic(examples=400, starts=2, ratios=(1.0, 1.5)),
    synthetic_seeds=(0, 1),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built[Theory, TheoryCell]:
    store = Store(str(tmp_path_factory.mktemp("theory")))
    return Built(SMALL, "k" * 64, runner.build(plan(SMALL), store, InlineBackend(), toy.Recorder()))


@pytest.fixture(scope="module")
def worlds(built: Built[Theory, TheoryCell]) -> TheoryWorlds:
    return measure(built)


@pytest.fixture(scope="module")
def results(built: Built[Theory, TheoryCell]) -> Results:
    return EXPERIMENT.results([built])


def comparisons(worlds: TheoryWorlds) -> list[Comparison]:
    return [one for world in WORLDS.values() for part in world.parts for one in compared(worlds, part)]


def test_every_world_has_its_stage_and_a_seed_changes_what_is_drawn() -> None:
    cells = plan(SMALL)
    assert {cell.role for cell in cells} == {
        "gaussian",
        "two_layer",
        "images",
        "usefulness",
        "squares",
        "synthetic",
        "data",
    }
    for role in ("two_layer", "squares", "synthetic"):
        name = "own" if role == "two_layer" else ""
        assert cells[TheoryCell(role, 0, name)].key != cells[TheoryCell(role, 1, name)].key
    assert cells[TheoryCell("two_layer", 0, "own")].key != cells[TheoryCell("two_layer", 0, "published")].key


def test_without_images_the_rest_runs_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYLAB_DATA", raising=False)
    config = SMALL.model_copy(update={"images": KnownData(name="mnist")})
    assert not [cell for cell in plan(config) if cell.role == "images"]
    assert "RAYLAB_DATA" in absent_images(config)


def test_the_exact_rows_are_exact(worlds: TheoryWorlds) -> None:
    computed = [one for one in compared(worlds, "gaussian") if one.ours.n == 0]
    assert {one.code for one in computed} == {"exact", "met"}
    assert {one.target.row for one in computed} >= {34, 35, 36, 37}
    assert len([one for one in computed if one.target.row == 35]) == 15  # five multipliers, ten variances


def test_a_row_is_the_mean_over_the_tables_of_its_seeds(worlds: TheoryWorlds) -> None:
    by_hand = [
        read_quantities(worlds.built.artifacts[TheoryCell("synthetic", seed)])["det 1.5"].mean for seed in (0, 1)
    ]
    row = next(one for one in compared(worlds, "synthetic") if one.target.quantity == "D_det, 1.5η")
    assert row.ours.mean == pytest.approx(sum(by_hand) / 2)
    assert (row.ours.n, row.ours.seeds) == (800, 2)


def test_the_closed_form_is_compared_at_each_seeds_own_label_sum(worlds: TheoryWorlds) -> None:
    found = worlds.found("two_layer")
    for seed in (0, 1):
        excess = found["eps 0.01"][seed].mean - found["eps 0.01 expected"][seed].mean
        assert found["eps 0.01 excess"][seed].mean == pytest.approx(excess)


def test_text_tables_page_and_record_tell_the_same_rows(worlds: TheoryWorlds, results: Results) -> None:
    listed = comparisons(worlds)
    (run,) = results.publications
    seen(results, 7)
    tables = {name: pd.read_csv(io.StringIO(run.files[f"tables/{name}.csv"].decode())) for name in ("worlds", *WORLDS)}
    assert sum(len(tables[name]) for name in WORLDS) == len(listed)
    assert tables["worlds"]["all"].iloc[-1] == len(listed)
    assert sum(run.parent.metrics.values()) == len(listed)
    assert run.parent.metrics == {f"verdict/{code}": count for code, count in counts(listed).items()}
    assert results.page.count("<figure") == len(list(report(worlds).pictures())) == 7
    assert all(world.title in results.page for world in WORLDS.values())
    assert run.parent.key == EXPERIMENT.opened(SMALL, "k" * 64).key


def test_every_result_of_every_seed_is_a_run_that_its_params_tell_apart(worlds: TheoryWorlds, results: Results) -> None:
    (run,) = results.publications
    assert len(run.children) == len([cell for cell in worlds.built.artifacts if cell.role != "data"])
    assert len({tuple(sorted(child.params.items())) for child in run.children}) == len(run.children)
    first = run.children[0]
    assert first.params["world"] == "gaussian"
    assert len(first.metrics) == len(worlds.found("gaussian"))  # no two names became one
    assert first.metrics["gaussian/diag_25_1_eps_1_s1"] == pytest.approx(3.763322)
    assert first.places["raylab.artifact"] == worlds.built.artifacts[TheoryCell("gaussian", 0)].folder


def without(worlds: TheoryWorlds, *lost: str) -> Built[Theory, TheoryCell]:
    cells = {cell: one for cell, one in worlds.built.artifacts.items() if cell.role not in lost}
    missing = {cell: "it failed" for cell in worlds.built.artifacts if cell.role in lost}
    return Built(SMALL, "k" * 64, cells, missing)


@pytest.mark.parametrize("lost", list(WORLDS))
def test_a_world_that_was_not_built_is_said_so(worlds: TheoryWorlds, lost: str) -> None:
    found = measure(without(worlds, lost))
    for part in WORLDS[lost].parts:
        assert {(one.code, one.reason) for one in compared(found, part)} == {("not_run", "it failed")}
    assert pictures(found, lost) == ()
    rows, all_of_them = {one.row for one in evidence(found)}, {one.row for one in evidence(worlds)}
    assert rows == all_of_them if lost in ("images", "usefulness") else rows < all_of_them


@pytest.mark.parametrize("lost", [("usefulness", "squares", "two_layer"), ("gaussian", "synthetic"), tuple(WORLDS)])
def test_what_is_there_is_shown(worlds: TheoryWorlds, lost: tuple[str, ...]) -> None:
    results = EXPERIMENT.results([without(worlds, *lost)])
    assert problems(results.page) == []
    assert "nan" not in results.full_texts[0]
    assert len(results.publications[0].children) == len([c for c in plan(SMALL) if c.role not in (*lost, "data")])


def test_the_scoreboard_is_told_what_the_rows_ask_for_and_how_a_run_differs(worlds: TheoryWorlds) -> None:
    found = list(evidence(worlds))
    assert {one.row for one in found} == {32, 34, 35, 36, 37, 39, 45}  # 38 is of MNIST alone
    lines = {line.row.row: line for line in scored(found)}  # refuses a name that its row does not have
    assert {row for row, line in lines.items() if line.code == "reproduced"} >= {35, 37}
    worst = next(one.ours for one in found if one.row == 35)
    quantities = read_quantities(worlds.built.artifacts[TheoryCell("gaussian", 0)])
    assert worst.mean >= abs(quantities["diag(25, 1) eps 1 s1"].mean - 3.76332)
    assert (worst.n, worst.mean < 1e-5) == (0, True)
    assert all(one.protocol for one in found if one.row in (32, 39, 45))  # smaller than published
    own = [one for one in found if "draws of our own" in one.on]
    assert len(own) == 1
    assert own[0].undecided.endswith("published: −12")
    mine = worlds.found("two_layer")
    by_hand = [mine["eps 0.01"][seed].mean - mine["eps 0.004"][seed].mean for seed in (0, 1)]
    assert own[0].ours.mean == pytest.approx(sum(by_hand) / 2)


def test_the_default_numbers_are_at_the_published_protocol(worlds: TheoryWorlds) -> None:
    """Of rows 39 and 45, whose sizes are those of the default config."""
    default = Theory()
    config = SMALL.model_copy(update={"two_layer": default.two_layer, "synthetic": default.synthetic})
    whole = replace(worlds, built=replace(worlds.built, config=config))
    found = list(evidence(whole))
    assert not any(one.protocol for one in found if one.row == 39 and "published draws" in one.on)
    synthetic = [one for one in found if one.row == 45]
    assert all(one.protocol.startswith("endless data") for one in synthetic if one.on.endswith("endless data"))
    differing = [one for one in synthetic if one.protocol and not one.on.endswith("endless data")]
    assert {one.name for one in differing} == {"D_R, 2η"}
    assert {one.on for one in differing} == {
        f"synthetic world, inversions of an example from {starts}" for starts in ("1 start", "8 starts")
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"squares": {"dimensions": (0,)}}, "greater than or equal to 1"),
        ({"usefulness": {"classes": (3, 8), "eps": -1.0}}, "greater than 0"),
        ({"seeds": ()}, "at least 1"),
    ],
)
def test_a_wrong_config_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Theory(**changed)  # type: ignore[arg-type]
