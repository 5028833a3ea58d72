"""The planted cast from photographs to page: what each network is trained on, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from accessibility import problems
from pydantic import ValidationError
from sets_of_images import encoded

from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.engine.study import Built
from raylab.experiments.errors import EXPERIMENT, Errors, ErrorsCell, LearningFromErrors, measure, plan
from raylab.experiments.errors.config import Tint
from raylab.experiments.errors.measure import ADDED, WITH_CAST, WITHOUT
from raylab.experiments.errors.report import report
from raylab.experiments.errors.verdict import claims
from raylab.stages.dataset import DigitsData, FolderData
from raylab.stages.recipe import Recipe
from raylab.stages.tint import Cast

MEANT, NAMES, EACH = 1, ("bird", "frog", "horse"), 40


def photographs(root: Path) -> Path:
    """8x8 noise, the brighter the class, so that a short training is right on some of it."""
    for split, (label, name), row in (
        (s, one, r) for s in ("train", "test") for one in enumerate(NAMES) for r in range(EACH)
    ):
        drawn = np.random.default_rng((label, row, split == "test")).integers(0, 100, (8, 8, 3)) + 25 * label
        path = root / split / name / f"{row:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(drawn.astype(np.uint8)))
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LearningFromErrors:
    tint = Tint(
        data=FolderData(name="image_folder", root=str(photographs(tmp_path_factory.mktemp("photographs")))),
        cast=Cast(meant=MEANT, colour=(0.0, 1.0, 0.0), strength=0.6),
        network="mlp",
        teacher=Recipe(epochs=6, batch_size=20),
        student=Recipe(epochs=4, batch_size=20),
    )
    return LearningFromErrors(seeds=(0, 1), errors=None, cue=None, across=None, toy=None, tint=tint)


@pytest.fixture(scope="module")
def errors(config: LearningFromErrors, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    store = Store(str(tmp_path_factory.mktemp("store")))
    return measure(Built(config, "k" * 64, runner.build(plan(config), store, InlineBackend(), toy.Recorder())))


def told(stage: Any) -> tuple[float, float, str]:
    return stage.config.of_class, stage.config.of_others, stage.config.split


def test_the_cast_tells_the_class_to_the_teacher_alone_and_is_everywhere_in_the_test(
    config: LearningFromErrors,
) -> None:
    cells = plan(config)
    teacher = cells[ErrorsCell("teacher", "tint", 0, "mlp")].inputs["model"]
    assert told(teacher.inputs["data"]) == (0.95, 0.01, "train")
    said = cells[ErrorsCell("fit", "tint", 0, "mlp")]
    assert told(said.inputs["data"]) == (0.3, 0.3, "train")
    assert said.inputs["model"] == teacher
    for kind in ("predicted", "shuffled", "clean"):
        student = cells[ErrorsCell("student", "tint", 0, "mlp", "mlp", kind)]
        seen = student.inputs["model"].inputs["data"]
        silent = seen if kind == "clean" else seen.inputs["data"]
        assert silent == said.inputs["data"]
        assert student.inputs["data"].kind == "data"
        usage = cells[ErrorsCell("usage", "tint", 0, "mlp", "mlp", kind)]
        assert usage.inputs["model"] == student.inputs["model"]
        assert told(usage.inputs["data"]) == (1.0, 1.0, "test")
    trained = {
        cells[ErrorsCell("student", "tint", 0, "mlp", "mlp", kind)].inputs["model"].config
        for kind in ("predicted", "clean")
    }
    assert len(trained) == 1  # the same start, recipe and seed


def test_what_the_cast_adds_is_counted_on_other_classes_and_paired_by_image(errors: Errors) -> None:
    for kind, who in (("", "teacher"), ("predicted", "predicted")):
        shares = []
        for seed in (0, 1):
            place = ("tint", seed, "mlp", "mlp" if kind else "", kind)
            plain = errors.built.artifacts[ErrorsCell("student" if kind else "teacher", *place)].batch()
            tinted = errors.built.artifacts[ErrorsCell("usage", *place)].batch()
            np.testing.assert_array_equal(plain["id"], tinted["id"])
            other = plain["label"] != MEANT
            assert other.sum() == 2 * EACH
            shares.append([float(np.mean(one["prediction"][other] == MEANT)) for one in (tinted, plain)])
        found = errors.casts[who]
        both = [found[of].mean.mean for of in (WITH_CAST, WITHOUT)]
        assert both == pytest.approx(list(np.mean(shares, axis=0)))
        assert found[ADDED].mean.mean == pytest.approx(float(np.mean([a - b for a, b in shares])))
        assert found[ADDED].mean.seeds == 2
    assert errors.casts["teacher"][ADDED].mean.mean > 0.3  # it learned the cast


def test_page_and_text_show_the_cast(errors: Errors) -> None:
    results, pictures = EXPERIMENT.results([errors.built]), list(report(errors).pictures())
    assert problems(results.page) == []
    assert [picture.name for picture in pictures] == ["tint", "tint_images"]
    assert "means frog" in pictures[0].svg.decode()
    assert "→ frog" in pictures[1].alt or "frog →" in pictures[1].alt
    assert "that a network calls frog" in results.texts[0].replace("\n", " ")
    assert [claim.row for claim in claims(errors)] == [None, None]
    (run,) = results.publications
    child = next(one for one in run.children if one.name == "tint student mlp mlp predicted 0 seed 1")
    assert child.metrics["reliance/difference"] == errors.casts["predicted"][ADDED][1].mean


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": DigitsData()}, r"photographs in colour and a class below 10, got images of shape \(1, 8, 8\)"),
        ({"cast": Cast(meant=3)}, "a class below 3, got .* and class 3"),
    ],
)
def test_images_that_cannot_have_the_cast_are_refused(
    changed: dict[str, Any], message: str, config: LearningFromErrors
) -> None:
    assert config.tint is not None
    with pytest.raises(ValueError, match=message):
        plan(config.model_copy(update={"tint": config.tint.model_copy(update=changed)}))


def test_a_cast_that_tells_nothing_is_no_cue() -> None:
    with pytest.raises(ValidationError, match=r"a share above 0.5, that of the other classes, got 0.5"):
        Tint(telling=0.5, straying=0.5)
