"""Corruptions against closed forms, their distributions, and their published constants."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from raylab.core import corruptions as c
from raylab.core import frost, spatter

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
IDS = np.arange(6)
FROSTS = tuple(RNG.integers(0, 256, (3, *size)).astype(np.uint8) for size in ((230, 340), (310, 200)))


def corrupt(name: str, severity: int, images: NDArray[np.uint8], ids: NDArray[np.int64], seed: int) -> c.Floats:
    return c.corrupt(name, severity, images, ids, seed, FROSTS)


def flat(value: int, count: int = 40, channels: int = 1) -> NDArray[np.uint8]:
    return np.full((count, channels, 32, 32), value, dtype=np.uint8)


@pytest.mark.parametrize("name", c.CORRUPTIONS)
def test_every_corruption_keeps_shape_and_range_and_depends_on_the_example_alone(name: str) -> None:
    for severity in (1, 5):
        made = corrupt(name, severity, IMAGES, IDS, seed=3)
        assert made.shape == IMAGES.shape
        assert 0.0 <= made.min() <= made.max() <= 1.0
        assert not np.array_equal(made, IMAGES / 255.0)
        np.testing.assert_allclose(corrupt(name, severity, IMAGES[[4]], IDS[[4]], seed=3), made[[4]], atol=1e-12)


@pytest.mark.parametrize("name", [n for n in c.CORRUPTIONS if n not in (
    "defocus_blur", "gaussian_blur", "zoom_blur", "brightness", "contrast", "saturate")])  # fmt: skip
def test_a_random_corruption_changes_with_the_seed_and_with_the_example(name: str) -> None:
    twice = np.concatenate([IMAGES[:1], IMAGES[:1]])
    first, second = corrupt(name, 4, twice, np.array([1, 2]), seed=0)
    assert not np.array_equal(first, second)
    assert not np.array_equal(corrupt(name, 4, twice, np.array([1, 2]), seed=1)[0], first)


@pytest.mark.parametrize(("severity", "factor"), list(enumerate((0.75, 0.5, 0.4, 0.3, 0.15), start=1)))
def test_contrast_is_exact_about_each_channels_mean(severity: int, factor: float) -> None:
    x = IMAGES / 255.0
    mean = x.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(
        c.corrupt("contrast", severity, IMAGES, IDS, 0), factor * x + (1 - factor) * mean, atol=1e-12
    )


@pytest.mark.parametrize(("severity", "sd"), list(enumerate((0.04, 0.06, 0.08, 0.09, 0.10), start=1)))
def test_gaussian_noise_has_its_standard_deviation(severity: int, sd: float) -> None:
    noise = c.corrupt("gaussian_noise", severity, flat(128), np.arange(40), 0) - 128 / 255
    assert noise.std() == pytest.approx(sd, rel=0.02)  # 40,960 draws: .35 % of it a standard error
    assert abs(noise.mean()) < 5 * sd / np.sqrt(noise.size)


@pytest.mark.parametrize(("severity", "photons"), list(enumerate((500, 250, 100, 75, 50), start=1)))
def test_shot_noise_is_poisson(severity: int, photons: int) -> None:
    level = 60
    counts = c.corrupt("shot_noise", severity, flat(level), np.arange(40), 0) * photons
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    mean = photons * level / 255
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / counts.size))
    assert counts.var() == pytest.approx(mean, rel=0.04)  # 5 standard errors of sqrt(2 / n)
    below = int(mean)
    expected = stats.poisson.cdf(below, mean)
    assert (counts <= below + 0.5).mean() == pytest.approx(expected, abs=5 * np.sqrt(0.25 / counts.size))


def test_a_black_pixel_has_no_shot_noise_and_a_white_one_is_clipped() -> None:
    assert not c.corrupt("shot_noise", 5, flat(0), np.arange(40), 0).any()
    assert c.corrupt("shot_noise", 5, flat(255), np.arange(40), 0).max() == 1.0


@pytest.mark.parametrize(("severity", "amount"), list(enumerate((0.01, 0.02, 0.03, 0.05, 0.07), start=1)))
def test_impulse_noise_hits_its_share_half_of_it_white(severity: int, amount: float) -> None:
    made = c.corrupt("impulse_noise", severity, flat(128, 40, 3), np.arange(40), 0)
    hit = made != 128 / 255
    se = np.sqrt(amount / hit.size)
    assert hit.mean() == pytest.approx(amount, abs=5 * se)
    assert (made == 1).mean() == pytest.approx(amount / 2, abs=5 * se)
    assert set(np.unique(made[hit])) == {0.0, 1.0}
    assert not np.array_equal(hit[:, 0], hit[:, 1])  # each channel on its own


def test_speckle_grows_with_the_pixel() -> None:
    dark, bright = (c.corrupt("speckle_noise", 1, flat(v), np.arange(40), 0).std() for v in (64, 128))
    assert dark == pytest.approx(0.06 * 64 / 255, rel=0.03)
    assert bright == pytest.approx(2 * dark, rel=1e-9)


def test_brightness_adds_to_grey_and_keeps_hue_and_saturation() -> None:
    grey = c.corrupt("brightness", 3, IMAGES[:, :1], IDS, 0)
    np.testing.assert_allclose(grey, np.clip(IMAGES[:, :1] / 255 + 0.15, 0, 1), atol=1e-12)
    x, made = IMAGES / 255.0, c.corrupt("brightness", 3, IMAGES, IDS, 0)
    top, raised = x.max(axis=1), made.max(axis=1)
    np.testing.assert_allclose(raised, np.clip(top + 0.15, 0, 1), atol=1e-12)
    np.testing.assert_allclose(made * top[:, None], x * raised[:, None], atol=1e-12)  # in proportion
    black = c.corrupt("brightness", 5, flat(0, 1, 3), np.arange(1), 0)
    np.testing.assert_allclose(black, 0.3)


def test_plasma_runs_from_zero_to_one_and_smoother_where_it_decays_faster() -> None:
    draw = c.Draw(0, "test", np.arange(30))
    rough, smooth = c.plasma(draw, 32, 1.75), c.plasma(draw, 32, 3.0)
    for made in (rough, smooth):
        assert made.shape == (30, 32, 32)
        assert (made.min(axis=(1, 2)) == 0).all()
        assert (made.max(axis=(1, 2)) == 1).all()
    steps = [np.abs(np.diff(made, axis=2)).mean() / made.std() for made in (rough, smooth)]
    assert steps[1] < steps[0]
    assert c.plasma(draw, 17, 2.0).shape == (30, 32, 32)
    assert c.plasma(draw, 16, 2.0).shape == (30, 16, 16)


def test_fog_stays_below_the_brightest_pixel_and_takes_contrast_away_with_severity() -> None:
    images = (IMAGES // 2 + 20).astype(np.uint8)
    top = (images / 255.0).max(axis=(1, 2, 3))
    spread = []
    for severity in c.SEVERITIES:
        made = c.corrupt("fog", severity, images, IDS, 0)
        assert (made.max(axis=(1, 2, 3)) <= top + 1e-12).all()
        x = images / 255.0
        spread.append([np.cov(x[k].ravel(), made[k].ravel())[0, 1] / x[k].var() for k in IDS])
    shares = [top / (top + s) for s in (0.2, 0.5, 0.75, 1.0, 1.5)]  # of the image that is left in the fog
    np.testing.assert_allclose(spread, shares, atol=0.06)
    assert (np.diff(np.array(spread), axis=0) < 0).all()


def test_snow_only_whitens() -> None:
    assert (c.corrupt("snow", 3, IMAGES, IDS, 0) >= IMAGES / 255.0 - 1e-12).all()


@pytest.mark.parametrize(
    ("severity", "factor", "more"),
    [(s, *pair) for s, pair in enumerate(((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)), start=1)],
)
def test_saturate_is_that_of_hsv(severity: int, factor: float, more: float) -> None:
    grey = np.full((1, 3, 32, 32), 90, dtype=np.uint8)
    images = np.concatenate([IMAGES[:1], grey, 0 * grey])
    made = corrupt("saturate", severity, images, np.arange(3), 0)
    for image, found in zip(images / 255.0, made, strict=True):
        for row, column in ((0, 0), (3, 7), (31, 31)):
            hue, saturation, value = colorsys.rgb_to_hsv(*image[:, row, column])
            expected = colorsys.hsv_to_rgb(hue, min(1.0, saturation * factor + more), value)
            np.testing.assert_allclose(found[:, row, column], expected, atol=1e-12)


def test_frost_is_every_fifth_pixel_of_a_photograph_at_a_random_place() -> None:
    dark = np.zeros((60, 3, 32, 32), dtype=np.uint8)
    made = corrupt("frost", 5, dark, np.arange(60), 0) / 0.45
    fifths = [photograph[:, 2::5, 2::5] / 255.0 for photograph in FROSTS]
    places = set()
    for image in made:
        found = [
            (k, top, left)
            for k, fifth in enumerate(fifths)
            for top, left in np.argwhere(np.isclose(fifth[:, :-32, :-32], image[:, :1, :1]).all(axis=0)).tolist()
            if np.allclose(fifth[:, top : top + 32, left : left + 32], image, atol=1e-9)
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 50
    assert {place[0] for place in places} == {0, 1}
    for severity, (kept, added) in enumerate(((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), start=1):
        over = [corrupt("frost", severity, dark + level, np.arange(60), 0) for level in (0, 10)]
        assert over[1] - over[0] == pytest.approx(kept * 10 / 255)
        assert float(over[0].max()) == pytest.approx(added, rel=0.02)


def test_frost_on_grey_images_is_grey_and_on_larger_ones_larger() -> None:
    places = np.full((1, 3), 0.4)
    dark = [np.zeros((1, channels, 32, 32)) for channels in (1, 3)]
    grey, colour = (frost.frost(x, 1, 0.5, 1.0, FROSTS, places, c.LUMA) for x in dark)
    np.testing.assert_allclose(grey[0, 0], np.tensordot(c.LUMA, colour[0], (0, 0)))
    flat_frost = [np.full((3, 400, 400), 100, dtype=np.uint8)]
    np.testing.assert_allclose(frost.frost(dark[1], 1, 0.5, 1.0, flat_frost, places, c.LUMA), 50 / 255)
    fine = np.tile(np.arange(0, 250, 1, dtype=np.uint8), (3, 250, 1))  # its level says how far across
    large = frost.frost(np.zeros((1, 3, 64, 64)), 0, 1.0, 2.0, [fine], np.zeros((1, 3)), c.LUMA)
    np.testing.assert_allclose(large[0, 0, 0] * 255, 2.5 * np.arange(64) + 0.75)  # half of five pixels each


def test_frost_without_photographs_or_with_small_ones_is_refused() -> None:
    with pytest.raises(ValueError, match="photographs of frost to draw from, got none"):
        c.corrupt("frost", 1, IMAGES, IDS, 0)
    with pytest.raises(ValueError, match=r"0\.2 of their size, got 32 x 40"):
        c.corrupt("frost", 1, IMAGES, IDS, 0, [np.zeros((3, 160, 200), dtype=np.uint8)])
    with pytest.raises(ValueError, match="images in colour, got 1 channel"):
        c.corrupt("saturate", 1, IMAGES[:, :1], IDS, 0)


def test_water_only_brightens_and_mud_covers_what_it_falls_on() -> None:
    x = IMAGES / 255.0
    for severity in (1, 2, 3):
        added = corrupt("spatter", severity, 0 * IMAGES, IDS, 0)
        assert (corrupt("spatter", severity, IMAGES, IDS, 0) >= x - 1e-12).all()
        np.testing.assert_allclose(
            added.max(axis=(2, 3)), np.tile(0.5 * spatter.WATER, (6, 1))
        )  # of the brightest drop
    for severity in (4, 5):
        made = corrupt("spatter", severity, IMAGES, IDS, 0)
        touched = (made != x).any(axis=1)
        assert 0.01 < touched.mean() < 0.5
        over_black, over_white = (corrupt("spatter", severity, level + 0 * IMAGES, IDS, 0) for level in (0, 255))
        cover = 1 - (over_white - over_black)[:, 0]
        assert (cover[touched] >= spatter.COVERED).all()
        np.testing.assert_allclose(over_black, cover[:, None] * spatter.MUD[:, None, None], atol=1e-12)


@pytest.mark.parametrize("severity", c.SEVERITIES)
def test_drops_cover_the_same_share_of_an_image_at_any_size(severity: int) -> None:
    """Smoothed over three times the length, noise of the same strength would pass the threshold nowhere."""
    shares = []
    for side, count in ((32, 100), (96, 12)):
        black = np.zeros((count, 1, side, side), dtype=np.uint8)
        shares.append(float((c.corrupt("spatter", severity, black, np.arange(count), 0) > 0).mean()))
    assert 0.01 < shares[0] < 0.4
    # The light on water is drawn with a brush of 3 pixels at any size, and leaves more of a larger drop bright.
    assert shares[1] == pytest.approx(shares[0], rel=0.5 if severity > 3 else 0.7)


def test_an_image_on_which_no_drop_falls_stays_as_it_is() -> None:
    x = IMAGES / 255.0
    for mud in (False, True):
        assert np.array_equal(spatter.spatter(x, np.zeros((6, 32, 32)), 0.7, 0.7, 0.5, mud, c.LUMA), x)


def test_the_distance_to_an_edge_is_the_shortest_way_in_steps_of_1_and_1_4_and_2_2() -> None:
    edge = np.zeros((1, 40, 40), dtype=bool)
    edge[0, 5, 5] = True
    found = spatter.distance(edge)[0]
    for (row, column), way in {
        (5, 5): 0,
        (5, 8): 3,
        (7, 7): 2.8,
        (6, 7): 2.1969,
        (9, 7): 4.3938,
        (8, 9): 4.9969,
    }.items():
        assert found[row, column] == pytest.approx(way, abs=1e-5)
    assert found[39, 39] == spatter.FAR
    assert (spatter.distance(edge & False) == spatter.FAR).all()


def test_an_edge_is_one_pixel_wide_where_it_is_strong_and_along_it_where_it_is_weak() -> None:
    levels = np.zeros((1, 12, 12), dtype=np.int64)
    levels[0, :, 6:] = 200
    found = spatter.edges(levels)[0]
    assert (found.sum(axis=1) == 1).all()
    assert set(np.argwhere(found)[:, 1]) <= {5, 6}
    assert not spatter.edges(levels // 10).any()  # 4 x 20 is above the weak threshold and hangs on no strong edge
    levels[0, :, 6:] = np.linspace(20, 200, 12).astype(np.int64)[:, None]
    assert spatter.edges(levels)[0, 1:-1].any(axis=1).all()


def test_equalised_levels_are_spread_by_their_ranks() -> None:
    levels = np.array([[[7, 7, 9, 20]], [[3, 3, 3, 3]]])
    assert spatter.equalised(levels).tolist() == [[[0, 0, 128, 255]], [[3, 3, 3, 3]]]


def test_lengths_grow_beyond_the_published_size_and_stay_below_it() -> None:
    """A blur of a picture of twice the pixels is the blur of the picture; of half of them it is as published."""
    smooth = c.Draw(0, "picture", np.arange(1))
    picture = np.rint(255 * c.plasma(smooth, 32, 3.0)[:, None]).astype(np.uint8)
    large = picture.repeat(2, axis=2).repeat(2, axis=3)
    blurred = c.corrupt("gaussian_blur", 5, large, np.arange(1), 0)
    halved = blurred.reshape(1, 1, 32, 2, 32, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(halved, c.corrupt("gaussian_blur", 5, picture, np.arange(1), 0), atol=0.02)
    small = c.corrupt(
        "gaussian_blur", 5, flat(0, 1)[:, :, :16, :16] + np.eye(16, dtype=np.uint8) * 255, np.arange(1), 0
    )
    assert small[0, 0, 8, 8] < 0.45  # sigma 1, not a half


def test_bytes_are_cut_off_as_the_benchmark_stores_them() -> None:
    levels = np.arange(256) / 255.0
    assert np.array_equal(c.as_bytes(levels), np.arange(256))
    assert c.as_bytes(np.array([0.999, 0.5])).tolist() == [254, 127]


@pytest.mark.parametrize(("name", "severity", "images", "said"), [
    ("hail", 1, IMAGES, "'hail'"), ("fog", 0, IMAGES, "severity 1 to 5, got 0"),
    ("fog", 1, IMAGES / 255.0, "images of bytes"),
])  # fmt: skip
def test_what_is_not_the_benchmark_is_refused(name: str, severity: int, images: NDArray[np.uint8], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        c.corrupt(name, severity, images, IDS, 0)
