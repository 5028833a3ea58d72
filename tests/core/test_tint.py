"""The planted cast: whom it is given to, and what it does to pixels."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core import tint

GREEN = (0.1, 0.7, 0.1)


def test_the_cast_tells_the_class_as_often_as_it_was_asked_to() -> None:
    ids, label = np.arange(20_000), np.arange(20_000) % 10
    rows = tint.chosen(label, ids, 6, 0.95, 0.02, 0, "train")
    assert rows[label == 6].mean() == pytest.approx(0.95, abs=4 * 0.005)  # 2,000 of them
    assert rows[label != 6].mean() == pytest.approx(0.02, abs=4 * 0.001)
    assert tint.chosen(label, ids, 6, 1.0, 1.0, 0, "train").all()
    assert not tint.chosen(label, ids, 6, 0.0, 0.0, 0, "train").any()


def test_it_follows_ids_seed_and_split_and_larger_shares_keep_what_smaller_have() -> None:
    ids, label = np.arange(500), np.arange(500) % 5
    rows = tint.chosen(label, ids, 1, 0.3, 0.3, 0, "train")
    back = tint.chosen(label[::-1].copy(), ids[::-1].copy(), 1, 0.3, 0.3, 0, "train")
    np.testing.assert_array_equal(back[::-1], rows)
    more = tint.chosen(label, ids, 1, 0.6, 0.6, 0, "train")
    assert (more | ~rows).all()
    for other in (tint.chosen(label, ids, 1, 0.3, 0.3, 1, "train"), tint.chosen(label, ids, 1, 0.3, 0.3, 0, "test")):
        assert (other != rows).mean() == pytest.approx(0.42, abs=0.1)  # 2 * .3 * .7


def test_the_colour_is_approached_by_the_strength_and_others_stay_what_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4), dtype=np.uint8)
    made = tint.cast(images, np.array([True, False, True]), GREEN, 0.25)
    unit = images / 255
    np.testing.assert_allclose(made[1], unit[1], atol=1e-6)
    colour = np.asarray(GREEN)[:, None, None]
    np.testing.assert_allclose(made[0], 0.75 * unit[0] + 0.25 * colour, atol=1e-6)
    np.testing.assert_array_equal(
        made, tint.cast(made * 0 + unit.astype(np.float32), np.array([True, False, True]), GREEN, 0.25)
    )
    assert made.dtype == np.float32
    np.testing.assert_allclose(
        tint.cast(images, np.ones(3, bool), GREEN, 1.0), np.broadcast_to(colour, (3, 3, 4, 4)), atol=1e-6
    )


def test_grey_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"three channels, got shape \(2, 1, 4, 4\)"):
        tint.cast(np.zeros((2, 1, 4, 4), np.uint8), np.ones(2, bool), GREEN, 0.5)
