"""Target classes of constructed sets: their distributions, and that an example's target is its own."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core.construct import KINDS, targets

C = 10
N = 50_000
IDS = np.arange(N)
LABEL = IDS % C


def _chi_square(counts: np.ndarray, expected: float) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def test_rand_is_uniform_over_all_classes_and_independent_of_the_label() -> None:
    target = targets("rand", LABEL, IDS, C, seed=0, split="train")
    table = np.bincount(LABEL * C + target, minlength=C * C)  # every (label, target) cell, own class included
    assert _chi_square(table, N / C**2) < 165.0  # 99 degrees of freedom: P(above) < 1e-4


def test_other_is_uniform_over_the_other_classes() -> None:
    target = targets("other", LABEL, IDS, C, seed=0, split="train")
    table = np.bincount(LABEL * C + target, minlength=C * C).reshape(C, C)
    assert (np.diag(table) == 0).all()
    assert _chi_square(table[~np.eye(C, dtype=bool)], N / (C * (C - 1))) < 155.0  # 89 degrees of freedom


def test_det_is_the_next_class_round_the_circle() -> None:
    assert targets("det", np.arange(4), np.arange(4), 4, seed=0, split="train").tolist() == [1, 2, 3, 0]
    elsewhere = targets("det", LABEL, IDS, C, seed=1, split="test")
    np.testing.assert_array_equal(targets("det", LABEL, IDS, C, seed=0, split="train"), elsewhere)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_depends_on_its_own_row_alone(kind) -> None:
    whole = targets(kind, LABEL, IDS, C, seed=3, split="train")
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(targets(kind, LABEL[order], IDS[order], C, 3, "train"), whole[order])
    shards = [targets(kind, LABEL[i : i + 7001], IDS[i : i + 7001], C, 3, "train") for i in range(0, N, 7001)]
    np.testing.assert_array_equal(np.concatenate(shards), whole)


@pytest.mark.parametrize("kind", ["rand", "other"])
def test_seed_split_and_id_change_the_targets(kind) -> None:
    base = targets(kind, LABEL, IDS, C, seed=0, split="train")
    choices = C if kind == "rand" else C - 1
    for other in (
        targets(kind, LABEL, IDS, C, seed=1, split="train"),
        targets(kind, LABEL, IDS, C, seed=0, split="test"),
        targets(kind, LABEL, IDS + N, C, seed=0, split="train"),
    ):
        # agreement by chance, within 5 standard errors of about .0014
        assert abs((base == other).mean() - 1 / choices) < 0.007


def test_targets_are_pinned() -> None:
    """A change of these is a change of every constructed set ever made."""
    ids = np.arange(12)
    rand = targets("rand", ids % 4, ids, 4, seed=0, split="train")
    other = targets("other", ids % 4, ids, 4, seed=0, split="train")
    assert rand.tolist() == [2, 1, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0]
    assert other.tolist() == [2, 0, 1, 2, 2, 2, 3, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "random"}, "one of rand, other, det, got 'random'"),
        ({"num_classes": 1}, "at least 2 classes"),
        ({"label": np.array([0, 10])}, r"labels in \[0, 10\), got 0 to 10"),
        ({"label": np.array([-1, 0])}, "got -1 to 0"),
        ({"ids": np.array([0])}, "one id per label"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str) -> None:
    arguments = {"kind": "rand", "label": np.array([0, 1]), "ids": np.array([0, 1]), "num_classes": C}
    with pytest.raises(ValueError, match=message):
        targets(**(arguments | change), seed=0, split="train")  # type: ignore[arg-type]
