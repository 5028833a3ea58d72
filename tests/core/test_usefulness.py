"""Goh's plane: identities that hold on any data."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core import usefulness
from raylab.core.usefulness import Point, TwoClasses, two_classes


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    generator = np.random.default_rng(0)
    y = np.where(generator.random(600) < 0.5, 1.0, -1.0)
    mixing = generator.normal(size=(8, 8)) * np.geomspace(1, 0.02, 8)
    return (generator.normal(size=(600, 8)) + 0.4 * y[:, None]) @ mixing + 5.0, y


@pytest.fixture(scope="module")
def moments(data: tuple[np.ndarray, np.ndarray]) -> TwoClasses:  # type: ignore[type-arg]
    return two_classes(*data)


def test_a_feature_is_what_it_does_on_the_data(data: tuple[np.ndarray, np.ndarray], moments: TwoClasses) -> None:  # type: ignore[type-arg]
    x, y = data
    a = np.random.default_rng(1).normal(size=8)
    f = (x - x.mean(axis=0)) @ a
    f = f / np.sqrt((f**2).mean())
    assert moments.usefulness(a) == pytest.approx((y * f).mean(), rel=1e-9)
    scale = np.sqrt((((x - x.mean(axis=0)) @ a) ** 2).mean())
    attacked = (
        (x - x.mean(axis=0) - 0.1 * np.sign(moments.usefulness(a)) * y[:, None] * a / np.linalg.norm(a)) @ a / scale
    )
    assert moments.robust_usefulness(a, 0.1) == pytest.approx(abs((y * attacked).mean()), abs=1e-9)
    assert moments.robust_usefulness(a, 0.1, "linf") < moments.robust_usefulness(a, 0.1)


def test_an_eigenvector_is_as_robust_as_its_singular_value(moments: TwoClasses) -> None:
    assert [p.robustness for p in moments.spectrum()] == pytest.approx(np.log(moments.singular).tolist(), abs=1e-9)


def test_an_ensemble_is_more_useful_than_its_members_and_its_place_is_exact(moments: TwoClasses) -> None:
    members = np.arange(4, 8)
    useful = np.exp([moments.spectrum()[i].usefulness for i in members])
    singular = moments.singular[members]
    point = moments.point(moments.ensemble(members))
    assert np.exp(point.usefulness) == pytest.approx(singular @ useful / np.linalg.norm(singular), rel=1e-9)
    assert np.exp(point.robustness) == pytest.approx(np.linalg.norm(singular) / 2, rel=1e-9)  # sqrt of four members


def test_nothing_is_more_useful_than_the_most_useful_direction(moments: TwoClasses) -> None:
    best = moments.usefulness(moments.most_useful)
    useful = np.exp([p.usefulness for p in moments.spectrum()])
    assert best == pytest.approx(np.linalg.norm(useful), rel=1e-9)
    drawn = np.random.default_rng(2).normal(size=(200, 8))
    assert max(abs(moments.usefulness(a)) for a in drawn) <= best


def test_a_mixture_lies_where_its_two_members_say(moments: TwoClasses) -> None:
    low, high, points = 7, 0, moments.spectrum()
    share = usefulness.share_of(points[low], points[high], (points[low].robustness + points[high].robustness) / 2)
    expected = usefulness.mixed(points[low], points[high], share)
    assert moments.point(moments.contain(low, high, share)) == pytest.approx(expected, abs=1e-9)
    assert expected.robustness == pytest.approx((points[low].robustness + points[high].robustness) / 2, abs=1e-9)


def test_the_published_mixture_follows_from_its_published_members() -> None:
    members = usefulness.GOH_NON_ROBUST, usefulness.GOH_ROBUST
    found = usefulness.mixed(*members, usefulness.share_of(*members, usefulness.GOH_CONTAINED.robustness))
    assert found.usefulness == pytest.approx(usefulness.GOH_CONTAINED.usefulness, abs=0.005)


def test_directions_without_variance_are_left_out_and_one_class_is_refused() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 1.0, 0.0]
    y = np.where(np.arange(50) % 2, 1.0, -1.0)
    assert len(two_classes(x, y).singular) == 2
    with pytest.raises(ValueError, match="both labels"):
        two_classes(x, np.ones(50))
    with pytest.raises(ValueError, match="between"):
        usefulness.share_of(Point(-2, -1), Point(-1, -1), 0.0)
