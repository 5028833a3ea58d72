"""Labels for learning from errors: what each control keeps and what it takes away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raylab.core import errors
from raylab.core.errors import LABELLINGS, Labelling

RNG = np.random.default_rng(0)
IDS = RNG.permutation(100_000)[:3000]
TRUE = RNG.integers(0, 10, 3000)
PREDICTED = (TRUE + 1 + RNG.integers(0, 9, 3000) ** 2 // 9) % 10  # wrong everywhere, and skewed


def relabel(labelling: Any, rows: Any = slice(None), seed: int = 0) -> Any:
    return errors.relabel(labelling, TRUE[rows], PREDICTED[rows], IDS[rows], 10, seed)


def confusion(labels: Any) -> Any:
    return np.histogram2d(TRUE, labels, bins=(np.arange(11), np.arange(11)))[0]


def test_the_fixture_holds_errors_alone() -> None:
    assert (TRUE != PREDICTED).all()


def test_shuffling_keeps_the_confusion_matrix_and_takes_the_images_out_of_it() -> None:
    shuffled = relabel("shuffled")
    np.testing.assert_array_equal(confusion(shuffled), confusion(PREDICTED))
    by_chance = (confusion(PREDICTED) ** 2).sum() / confusion(PREDICTED).sum(axis=1).mean() / 3000
    assert (shuffled == PREDICTED).mean() == pytest.approx(by_chance, abs=0.04)
    assert (shuffled != TRUE).all()


def test_random_wrong_labels_are_wrong_and_equally_often_any_other_class() -> None:
    random = relabel("random")
    assert (random != TRUE).all()
    off = confusion(random)[~np.eye(10, dtype=bool)]
    assert abs(off / 3000 * 90 - 1).max() < 0.7
    assert abs(off.mean() / 3000 * 90 - 1) < 1e-12


def test_the_network_s_and_the_right_labels_are_returned_as_they_are() -> None:
    np.testing.assert_array_equal(relabel("predicted"), PREDICTED)
    np.testing.assert_array_equal(relabel("true"), TRUE)


@pytest.mark.parametrize("labelling", LABELLINGS)
def test_the_order_of_the_rows_decides_nothing(labelling: Labelling) -> None:
    other = np.random.default_rng(1).permutation(3000)
    np.testing.assert_array_equal(relabel(labelling)[other], relabel(labelling, other))


@pytest.mark.parametrize("labelling", ["shuffled", "random"])
def test_another_seed_gives_other_labels(labelling: Labelling) -> None:
    assert (relabel(labelling) != relabel(labelling, seed=1)).mean() > 0.3


def test_more_chosen_examples_contain_the_fewer_whatever_their_order() -> None:
    few, many = (set(IDS[errors.chosen(IDS, count, seed=3)]) for count in (50, 200))
    assert len(few) == 50
    assert few < many
    other = np.random.default_rng(1).permutation(3000)
    assert set(IDS[other][errors.chosen(IDS[other], 50, seed=3)]) == few
    assert set(IDS[errors.chosen(IDS, 50, seed=4)]) != few
    np.testing.assert_array_equal(errors.chosen(IDS, None, seed=3), np.arange(3000))


def test_more_examples_than_there_are_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match=r"5 examples were asked for, there are 3; ask for at most these"):
        errors.chosen(np.arange(3), 5, seed=0)


def test_entropy_is_one_for_equal_classes_and_zero_for_one_class() -> None:
    assert errors.entropy(np.arange(40) % 10, 10) == pytest.approx(1)
    assert errors.entropy(np.zeros(5, dtype=np.int64), 10) == 0
    assert errors.entropy(np.arange(40) % 2, 4) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labelling": "best"}, r"labels are one of predicted, shuffled, random, true, got 'best'"),
        ({"true": np.array([0, 1])}, r"one label, prediction and id an example, got \(2,\), \(3,\) and \(3,\)"),
        ({"ids": np.array([4, 4, 5])}, r"each id once, got 1 twice"),
        ({"predicted": np.array([0, 1, 10])}, r"predictions in \[0, 10\), got 0 to 10"),
        ({"true": np.array([-1, 1, 2])}, r"labels in \[0, 10\), got -1 to 2"),
    ],
)
def test_what_cannot_be_relabelled_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"labelling": "predicted", "true": np.array([0, 1, 2]), "predicted": np.array([1, 2, 3])}
    with pytest.raises(ValueError, match=message):
        errors.relabel(**({"ids": np.arange(3), "num_classes": 10, "seed": 0} | given | change))
