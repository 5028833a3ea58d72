"""The small worlds from config to page, at sizes that take a second or two."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import toy
from accessibility import problems
from pydantic import ValidationError

from raylab import runner
from raylab.config import load
from raylab.recipes.theory import Cell, Theory, absent_images, plan
from raylab.report.scoreboard.verdict import scored
from raylab.report.theory.figures import draw
from raylab.report.theory.page import files, page, parent, publication
from raylab.report.theory.scoreboard import evidence
from raylab.report.theory.table import Result, as_csv, as_text, measured
from raylab.runner import InlineBackend
from raylab.stages.dataset import DigitsData, KnownData
from raylab.stages.quantities import read_quantities
from raylab.stages.theory import Gaussians, Squares, Synthetic
from raylab.stages.two_layer import TwoLayer
from raylab.store import Store

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
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    store = Store(str(tmp_path_factory.mktemp("theory")))
    return measured(SMALL, "k" * 64, runner.build(plan(SMALL), store, InlineBackend(), toy.Recorder()))


def test_every_experiment_has_its_stage_and_a_seed_changes_what_is_drawn() -> None:
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
        assert cells[Cell(role, 0, name)].key != cells[Cell(role, 1, name)].key
    assert cells[Cell("two_layer", 0, "own")].key != cells[Cell("two_layer", 0, "published")].key


def test_without_images_the_rest_runs_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYLAB_DATA", raising=False)
    config = SMALL.model_copy(update={"images": KnownData(name="mnist")})
    assert not [cell for cell in plan(config) if cell.role == "images"]
    assert "RAYLAB_DATA" in absent_images(config)


def test_the_exact_rows_are_exact(result: Result) -> None:
    gaussian = next(group for group in result.groups if group.anchor == "gaussian")
    computed = [one for one in gaussian.comparisons if one.ours is not None and one.ours.n == 0]
    assert {one.code for one in computed} == {"exact", "met"}
    assert {one.target.row for one in computed} >= {34, 35, 36, 37}
    assert len([one for one in computed if one.target.row == 35]) == 15  # five multipliers, ten variances


def test_a_row_is_the_mean_over_the_tables_of_its_seeds(result: Result) -> None:
    by_hand = [read_quantities(result.artifacts[Cell("synthetic", seed)])["det 1.5"].mean for seed in (0, 1)]
    group = next(group for group in result.groups if group.anchor == "synthetic")
    row = next(one for one in group.comparisons if one.target.quantity == "D_det, 1.5η")
    assert row.ours is not None
    assert row.ours.mean == pytest.approx(sum(by_hand) / 2)
    assert (row.ours.n, row.ours.seeds) == (800, 2)


def test_the_closed_form_is_compared_at_each_seeds_own_label_sum(result: Result) -> None:
    for found in result.by_seed["two_layer"].values():
        excess = found["eps 0.01"].mean - found["eps 0.01 expected"].mean
        assert found["eps 0.01 excess"].mean == pytest.approx(excess)


def test_text_table_page_and_record_tell_the_same_rows(result: Result) -> None:
    rows = sum(len(group.comparisons) for group in result.groups)
    table = pd.read_csv(io.StringIO(as_csv(result)))
    assert len(table) == rows
    assert as_text(result).count("n = ") + as_text(result).count("computed  ") >= rows
    pictures = draw(result)
    html = page([result], [pictures])
    assert problems(html) == []
    assert html.count("<figure") == sum(len(found) for found in pictures.values()) == 6
    assert all(group.title in html for group in result.groups)
    record = publication(result, files(result, pictures))
    assert len(record.children) == len([cell for cell in result.artifacts if cell.role != "data"])
    assert record.parent.key == parent(SMALL, "k" * 64).key
    assert sum(record.parent.metrics.values()) == rows
    assert len(record.children[0].metrics) == len(result.by_seed["gaussian"][0])  # no two names became one


def test_the_scoreboard_is_told_what_the_rows_ask_for_and_how_a_run_differs(result: Result) -> None:
    found = list(evidence(result))
    assert {one.row for one in found} == {32, 34, 35, 36, 37, 39, 45}  # 38 is of MNIST alone
    lines = {line.row.row: line for line in scored(found)}  # refuses a name that its row does not have
    assert {row for row, line in lines.items() if line.code == "reproduced"} >= {35, 37}
    worst = next(one.ours for one in found if one.row == 35)
    quantities = read_quantities(result.artifacts[Cell("gaussian", 0)])
    assert worst.mean >= abs(quantities["diag(25, 1) eps 1 s1"].mean - 3.76332)
    assert (worst.n, worst.mean < 1e-5) == (0, True)
    assert all(one.protocol for one in found if one.row in (32, 39, 45))  # smaller than published
    own = [one for one in found if "draws of our own" in one.on]
    assert len(own) == 1
    assert own[0].undecided.endswith("published: −12")
    by_hand = [table["eps 0.01"].mean - table["eps 0.004"].mean for table in result.by_seed["two_layer"].values()]
    assert own[0].ours.mean == pytest.approx(sum(by_hand) / 2)


def test_the_default_numbers_are_at_the_published_protocol(result: Result) -> None:
    """Of rows 39 and 45, whose sizes are those of the default config."""
    default = Theory()
    whole = replace(
        result, config=SMALL.model_copy(update={"two_layer": default.two_layer, "synthetic": default.synthetic})
    )
    found = list(evidence(whole))
    assert not any(one.protocol for one in found if one.row == 39 and "published draws" in one.on)
    synthetic = [one for one in found if one.row == 45]
    assert all(one.protocol.startswith("endless data") for one in synthetic if one.on.endswith("endless data"))
    differing = [one for one in synthetic if one.protocol and not one.on.endswith("endless data")]
    assert {one.name for one in differing} == {"D_R, 2η"}
    assert {one.on for one in differing} == {
        f"synthetic world, inversions of an example from {starts}" for starts in ("1 start", "8 starts")
    }


def test_pages_of_one_result_are_the_same_bytes(result: Result) -> None:
    assert page([result], [draw(result)]) == page([result], [draw(result)])


@pytest.mark.parametrize("path", sorted(Path("configs/theory").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_of_the_repository_is_valid_and_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")
    load(Theory, path)


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
