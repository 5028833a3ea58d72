"""The toy in the plane: worlds are independent, pushes do what they say, the student beats its control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from raylab.core import toy2d
from raylab.core.toy2d import GROUP, Protocol, Worlds

SHORT = Protocol("linf", 0.12, points=16, hidden=(16,), steps=60)


@pytest.fixture(scope="module")
def margin() -> Worlds:
    return toy2d.run(Protocol("minimal", 5.0, low=-1, hidden=(48, 48), steps=500, push_steps=300), range(16), side=8)


def test_a_world_is_the_same_whichever_others_are_asked_for() -> None:
    together = toy2d.run(SHORT, range(20), side=4)
    for seeds in ([3], [19, 3], [3, 8, 11]):
        alone = toy2d.run(SHORT, seeds, side=4)
        for name, column in alone._asdict().items():
            np.testing.assert_array_equal(column, getattr(together, name)[seeds], err_msg=name)


def test_no_world_enters_the_training_of_another() -> None:
    """The neighbours of a group get other points and labels: its last world must not notice."""
    seeds = np.arange(GROUP)
    x, y = (
        torch.rand(GROUP, 16, 2, generator=torch.Generator().manual_seed(0)),
        torch.arange(16).expand(GROUP, -1) % 2 > 0,
    )
    changed_x, changed_y = x.clone(), y.clone()
    changed_x[:-1], changed_y[:-1] = 1 - x[:-1], ~y[:-1]
    everything = torch.ones_like(y)
    one = toy2d._fit(SHORT, seeds, "teacher", x, y, everything)
    other = toy2d._fit(SHORT, seeds, "teacher", changed_x, changed_y, everything)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a[-1], b[-1])
        assert not torch.equal(a[0], b[0])


def test_a_point_that_is_not_kept_teaches_nothing() -> None:
    seeds = np.arange(GROUP)
    x, y = (
        torch.rand(GROUP, 16, 2, generator=torch.Generator().manual_seed(0)),
        torch.arange(16).expand(GROUP, -1) % 2 > 0,
    )
    kept = torch.ones_like(y)
    kept[:, 5:] = False
    moved = x.clone()
    moved[:, 5:] += 0.7
    for a, b in zip(
        toy2d._fit(SHORT, seeds, "s", x, y, kept), toy2d._fit(SHORT, seeds, "s", moved, y, kept), strict=True
    ):
        assert torch.equal(a, b)


def test_linf_pushes_stay_in_the_ball_and_only_points_that_changed_class_are_kept() -> None:
    worlds = toy2d.run(replace(SHORT, steps=300), range(8), side=4)
    moved = np.abs(worlds.pushed - worlds.points).max(axis=2)
    assert moved.max() <= 0.12 + 1e-6
    assert moved.max() > 0.1
    assert 0 < worlds.kept.sum() < worlds.kept.size


def test_a_point_that_the_teacher_has_wrong_cannot_become_an_error_of_its_own() -> None:
    x, y = (
        torch.rand(GROUP, 16, 2, generator=torch.Generator().manual_seed(0)),
        torch.arange(16).expand(GROUP, -1) % 2 > 0,
    )
    teacher = toy2d._fit(SHORT, np.arange(GROUP), "teacher", x, y, torch.ones_like(y))
    moved, kept = toy2d._push(SHORT, teacher, x, y)
    right, flipped = (toy2d._logits(teacher, x) > 0) == y, (toy2d._logits(teacher, moved) > 0) != y
    assert (flipped & ~right).any()
    assert torch.equal(kept, flipped & right)


def test_worlds_are_all_different() -> None:
    points = toy2d.run(replace(SHORT, steps=1), range(20), side=4).points
    assert len(np.unique(points.reshape(20, -1), axis=0)) == 20


def test_a_minimal_push_is_longer_with_a_margin_and_keeps_every_point(margin: Worlds) -> None:
    without = toy2d.run(Protocol("minimal", 0.0, low=-1, hidden=(48, 48), steps=500, push_steps=300), range(16), side=8)
    assert margin.kept.all()
    np.testing.assert_array_equal(margin.points, without.points)
    long, short = (np.linalg.norm(w.pushed - w.points, axis=2) for w in (margin, without))
    assert (long >= short - 1e-6).mean() > 0.99
    assert long.mean() > 1.3 * short.mean()


def test_the_student_of_a_margin_knows_the_points_that_it_never_saw_and_random_directions_teach_the_opposite(
    margin: Worlds,
) -> None:
    assert margin.fitted.mean() > 28
    assert margin.right.mean() > 19  # of 32, where a coin has 16
    assert margin.control.mean() < 14
    assert (margin.right - margin.control).mean() > 6


def test_points_fill_the_square_that_was_asked_for() -> None:
    worlds = toy2d.run(replace(SHORT, low=-3, high=5, steps=1), range(8), side=4)
    assert -3 <= worlds.points.min() < -2
    assert 4 < worlds.points.max() <= 5
    assert 0.3 < worlds.labels.mean() < 0.7


def test_agreement_is_the_share_of_the_square_where_the_regions_are_the_same() -> None:
    worlds = toy2d.run(SHORT, [0, 1], side=12)
    same = (worlds.teacher > 0) == (worlds.student > 0)
    np.testing.assert_allclose(worlds.agreement, same.mean(axis=(1, 2)))
    assert worlds.teacher.shape == (2, 12, 12)


def test_sets_of_points_that_train_side_by_side_do_not_meet() -> None:
    x = torch.rand(GROUP, 16, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(16).expand(GROUP, -1) % 2 > 0
    kept, seeds = torch.ones_like(y), np.arange(GROUP)
    together = toy2d._fits(SHORT, seeds, "student", (x, 1 - x), y, kept)
    for points, weights in zip((x, 1 - x), together, strict=True):
        for a, b in zip(toy2d._fit(SHORT, seeds, "student", points, y, kept), weights, strict=True):
            torch.testing.assert_close(a, b)


def test_ways_to_push_share_their_teacher_and_points() -> None:
    one, other = (
        toy2d.run(replace(SHORT, push=push, amount=a), range(3), side=4) for push, a in (("linf", 0.12), ("minimal", 1))
    )
    np.testing.assert_array_equal(one.teacher, other.teacher)
    np.testing.assert_array_equal(one.points, other.points)
    deeper = toy2d.run(replace(SHORT, hidden=(16, 8)), range(3), side=4)
    assert (deeper.teacher != one.teacher).all()
