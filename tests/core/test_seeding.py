"""Seeding: a pure function of (seed, purpose, id), pinned for ever."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core import seeding

IDS = np.arange(20_000)


def test_splitmix64_gives_the_published_stream() -> None:
    # The first outputs from state 1234567, as in Vigna's splitmix64.c and the many ports checked against it.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert seeding.splitmix64(np.array([1234567], dtype=np.uint64), 5).tolist() == [expected]


def test_values_are_pinned() -> None:
    """A change of these is a change of every data set ever made."""
    assert seeding.uniform(0, "test", np.array([0, 1, 7]), 2).tolist() == [
        [0.5801019236065148, 0.9548728237569725],
        [0.8171323692070043, 0.6483304560673133],
        [0.8169760004300629, 0.9372825166616399],
    ]
    assert seeding.integers(0, "test", np.arange(8), 10).tolist() == [7, 1, 5, 8, 2, 9, 9, 5]
    assert seeding.permutation(0, "test", np.arange(8)).tolist() == [5, 3, 0, 2, 4, 6, 7, 1]
    assert seeding.derive(0, "test") == 6343639018140002960
    # log and cos may differ in their last bits from one machine to another
    pinned = [[1.2647763205640243, -0.36854769536383786, -0.7041860899247083]]
    np.testing.assert_allclose(seeding.normal(0, "test", np.array([0]), 3), pinned, rtol=1e-14)


@pytest.mark.parametrize(
    "draw",
    [
        lambda ids: seeding.uniform(3, "p", ids, 4),
        lambda ids: seeding.normal(3, "p", ids, 3),
        lambda ids: seeding.integers(3, "p", ids, 7),
    ],
)
def test_an_example_gets_its_numbers_in_any_batch_and_order(draw) -> None:
    ids = np.array([5, 0, 10**12, 3, 2**62, -1])
    whole = draw(ids)
    order = np.array([3, 5, 1, 0, 2, 4])
    np.testing.assert_array_equal(draw(ids[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([draw(ids[:2]), draw(ids[2:])]), whole)
    assert len(np.unique(whole, axis=0)) > 3  # and they are not all the same
    assert len(draw(ids[:0])) == 0


@pytest.mark.parametrize("draw", [seeding.uniform, seeding.normal])
def test_more_numbers_begin_with_the_fewer(draw) -> None:
    for size in (1, 2, 3):
        np.testing.assert_array_equal(draw(1, "p", IDS[:9], 5)[:, :size], draw(1, "p", IDS[:9], size))


def test_seed_purpose_id_and_slot_each_change_the_numbers_without_correlation() -> None:
    base = seeding.uniform(0, "p", IDS)[:, 0]
    others = {
        "seed": seeding.uniform(1, "p", IDS)[:, 0],
        "purpose": seeding.uniform(0, "q", IDS)[:, 0],
        "id": seeding.uniform(0, "p", IDS + 1)[:, 0],
        "slot": seeding.uniform(0, "p", IDS, 2)[:, 1],
    }
    for name, other in others.items():
        # 1 / sqrt(20,000) = .007 is one standard error of a correlation of nothing
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.03, name


def test_seed_and_purpose_do_not_run_into_each_other() -> None:
    assert seeding.derive(1, "2/p") != seeding.derive(12, "/p")
    assert seeding.derive(-1, "p") != seeding.derive(1, "p")
    assert all(0 <= seeding.derive(seed, "p") < 2**63 for seed in range(100))


def test_uniforms_are_uniform() -> None:
    u = seeding.uniform(0, "uniform", IDS, 2)
    assert u.min() >= 0.0
    assert u.max() < 1.0
    counts = np.histogram(u, bins=100, range=(0.0, 1.0))[0]
    chi_square = ((counts - 400.0) ** 2 / 400.0).sum()
    assert 45.0 < chi_square < 165.0  # 99 degrees of freedom: P(outside) < 1e-4


def test_normals_have_the_moments_of_a_normal() -> None:
    z = seeding.normal(0, "normal", IDS, 3)
    # standard errors over 60,000 draws: mean .004, variance .006, fourth moment .04
    assert abs(z.mean()) < 0.017
    assert abs(z.var() - 1.0) < 0.025
    assert abs((z**4).mean() - 3.0) < 0.17
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 0.03  # the two halves of a pair are independent


def test_integers_are_uniform_over_all_values() -> None:
    counts = np.bincount(seeding.integers(0, "integers", IDS, 10), minlength=10)
    assert len(counts) == 10
    assert ((counts - 2000.0) ** 2 / 2000.0).sum() < 34.0  # 9 degrees of freedom: P(above) < 1e-4


def test_permutation_orders_ids_and_not_rows() -> None:
    ids = np.arange(100) * 17
    shuffled = ids[::-1].copy()
    once = ids[seeding.permutation(0, "order", ids)]
    np.testing.assert_array_equal(once, shuffled[seeding.permutation(0, "order", shuffled)])
    np.testing.assert_array_equal(np.sort(once), ids)
    assert not np.array_equal(once, ids)


def test_permutation_keeps_rows_with_one_id_in_their_order() -> None:
    ids = np.arange(1000) % 3
    order = seeding.permutation(0, "order", ids)
    for one in range(3):
        np.testing.assert_array_equal(order[ids[order] == one], np.flatnonzero(ids == one))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeding.uniform(0, "p", np.arange(3.0)), "vector of integers"),  # type: ignore[arg-type]
        (lambda: seeding.uniform(0, "p", np.zeros((2, 2), dtype=np.int64)), "vector of integers"),
        (lambda: seeding.uniform(0, "p", np.arange(3), 0), "size"),
        (lambda: seeding.integers(0, "p", np.arange(3), 0), "high"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
