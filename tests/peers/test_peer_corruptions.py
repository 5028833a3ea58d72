"""Corruptions beside the libraries that CIFAR-10-C's generator calls, with its constants and our random numbers.

The generator itself (`make_cifar_c.py`) is on no package index, and makes the whole set when it is imported. Each of
its corruptions is a call or two of OpenCV, scikit-image or SciPy, and here are those calls. Motion blur and the streaks
of snow are ImageMagick's and have no peer here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import peer
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from raylab.core import corruptions as c
from raylab.stages.corruption import corrupted
from raylab.stages.frost import PUBLISHED, frost

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers

RNG = np.random.default_rng(0)
COUNT = 12
# Smooth enough for blurs to leave something, with black and white pixels.
SMOOTH = ndimage.gaussian_filter(RNG.normal(size=(COUNT, 3, 32, 32)), (0, 0, 2, 2))
IMAGES = np.clip(128 + 400 * SMOOTH, 0, 255).astype(np.uint8)
IDS = np.arange(COUNT)
SEED = 4
Floats = NDArray[np.float64]
LEVEL = 1.001 / 255  # float32 there, and bytes cut off: a grey level
CONSTANTS = {name: constants for name, (constants, _) in c.CORRUPTIONS.items()}


def draw(name: str, severity: int) -> c.Draw:
    return c.Draw(SEED, f"corruption/{name}/{severity}", IDS)


def compare(
    name: str,
    theirs: Callable[[int, Floats, c.Draw], Floats],  # severity (from 0), image (H, W, 3), draws -> image, unclipped
    atol: float,
) -> None:
    for severity in c.SEVERITIES:
        found = c.corrupt(name, severity, IMAGES, IDS, SEED)
        for k, image in enumerate(IMAGES / 255.0):
            own = c.Draw(SEED, f"corruption/{name}/{severity}", IDS[k : k + 1])
            expected = np.clip(theirs(severity - 1, np.moveaxis(image, 0, -1), own), 0, 1)
            np.testing.assert_allclose(np.moveaxis(found[k], 0, -1), expected, atol=atol, err_msg=f"{name} {severity}")


def test_defocus_is_a_disk_of_opencv() -> None:
    cv2, peers = peer.need("cv2"), peer.need("imagecorruptions.corruptions")

    def blur(severity: int, x: Floats, _: c.Draw) -> Floats:
        return cv2.filter2D(x, -1, peers.disk(*CONSTANTS["defocus_blur"][severity]))

    compare("defocus_blur", blur, 1e-6)  # the disk is in float32


def test_gaussian_blur_is_that_of_scikit_image() -> None:
    filters = peer.need("skimage.filters")

    def blur(severity: int, x: Floats, _: c.Draw) -> Floats:
        return filters.gaussian(x, sigma=CONSTANTS["gaussian_blur"][severity], channel_axis=2)

    compare("gaussian_blur", blur, 1e-12)


def test_glass_is_the_loop_over_pixels() -> None:
    filters = peer.need("skimage.filters")

    def glass(severity: int, x: Floats, own: c.Draw) -> Floats:
        sigma, reach, rounds = CONSTANTS["glass_blur"][severity]
        moves = np.floor((2 * own.uniform("moves", rounds, 32, 32, 2)[0] - 1) * reach).astype(int)
        pixels = np.uint8(filters.gaussian(x, sigma=sigma, channel_axis=2) * 255)
        for turn in range(rounds):
            for h in range(32 - reach, reach, -1):
                for w in range(32 - reach, reach, -1):
                    dy, dx = moves[turn, h - 1, w - 1]
                    # As published: views, so that the neighbour is copied and stays.
                    pixels[h, w], pixels[h + dy, w + dx] = pixels[h + dy, w + dx], pixels[h, w]
        return filters.gaussian(pixels / 255.0, sigma=sigma, channel_axis=2)

    compare("glass_blur", glass, LEVEL)


def test_zoom_is_the_mean_of_scipys_enlargements() -> None:
    def zoomed(x: Floats, factor: float) -> Floats:
        kept = int(np.ceil(32 / factor))
        first = (32 - kept) // 2
        large = ndimage.zoom(x[first : first + kept, first : first + kept], (factor, factor, 1), order=1)
        trim = (len(large) - 32) // 2
        return np.asarray(large[trim : trim + 32, trim : trim + 32])

    def zoom(severity: int, x: Floats, _: c.Draw) -> Floats:
        factors = np.arange(1, CONSTANTS["zoom_blur"][severity], 0.01)
        return np.asarray((x + sum(zoomed(x, factor) for factor in factors)) / (len(factors) + 1))

    compare("zoom_blur", zoom, 1e-10)


def test_fog_is_the_generators_plasma(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = peer.need("imagecorruptions.corruptions")
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # of NumPy before 2

    def fog(severity: int, x: Floats, own: c.Draw) -> Floats:
        strength, decay = CONSTANTS["fog"][severity]
        drawn = [
            one for step in (32, 16, 8, 4, 2) for one in own.uniform(f"plasma/{step}", 3, 32 // step, 32 // step)[0]
        ]
        monkeypatch.setattr(np.random, "uniform", lambda low, high, _: low + (high - low) * drawn.pop(0))
        clouds = peers.plasma_fractal(mapsize=32, wibbledecay=decay)
        return np.asarray((x + strength * clouds[..., None]) * x.max() / (x.max() + strength))

    compare("fog", fog, 1e-12)


def test_brightness_and_saturation_are_those_of_scikit_images_hsv() -> None:
    color = peer.need("skimage.color")

    def brightness(severity: int, x: Floats, _: c.Draw) -> Floats:
        hsv = color.rgb2hsv(x)
        hsv[..., 2] = np.clip(hsv[..., 2] + CONSTANTS["brightness"][severity], 0, 1)
        return color.hsv2rgb(hsv)

    def saturate(severity: int, x: Floats, _: c.Draw) -> Floats:
        hsv, (factor, more) = color.rgb2hsv(x), CONSTANTS["saturate"][severity]
        hsv[..., 1] = np.clip(hsv[..., 1] * factor + more, 0, 1)
        return color.hsv2rgb(hsv)

    compare("brightness", brightness, 1e-9)
    compare("saturate", saturate, 1e-9)


def test_elastic_transform_is_that_of_opencv_and_scipy() -> None:
    cv2, filters = peer.need("cv2"), peer.need("skimage.filters")

    def elastic(severity: int, x: Floats, own: c.Draw) -> Floats:
        strength, smooth, affine = (32 * value for value in CONSTANTS["elastic_transform"][severity])
        points = np.array([[26, 26], [26, 6], [6, 6]], dtype=np.float32)
        moved = points + np.float32(affine * (2 * own.uniform("corners", 3, 2)[0] - 1))
        x = cv2.warpAffine(
            np.float32(x), cv2.getAffineTransform(points, moved), (32, 32), borderMode=cv2.BORDER_REFLECT_101
        )
        fields = 2 * own.uniform("fields", 2, 32, 32)[0] - 1
        # By a sigma of 0 nothing is blurred, and nothing moved.
        down, across = (
            strength * filters.gaussian(f, smooth, mode="reflect", truncate=3) if smooth else 0 * f for f in fields
        )
        rows, columns = np.mgrid[:32, :32]
        places = rows + down, columns + across
        return np.stack([ndimage.map_coordinates(x[..., k], places, order=1, mode="reflect") for k in range(3)], -1)

    compare("elastic_transform", elastic, 0.02)  # OpenCV's affine map looks at places in 32nds of a pixel


def test_spatter_is_the_generators_chain() -> None:
    cv2, filters = peer.need("cv2"), peer.need("skimage.filters")
    light = np.float32([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])

    def spatter(severity: int, x: Floats, own: c.Draw) -> Floats:
        mean, sd, sigma, threshold, amount, mud = CONSTANTS["spatter"][severity]
        liquid = filters.gaussian(mean + sd * own.normal("liquid", 32, 32)[0], sigma=sigma)
        liquid[liquid < threshold] = 0
        if mud:
            cover = filters.gaussian(np.float32(liquid > threshold), sigma=amount)[..., None]
            cover[cover < 0.8] = 0
            return np.asarray(x * (1 - cover) + cover * np.array([63, 42, 20]) / 255)
        levels = (liquid * 255).astype(np.int64).astype(np.uint8)
        near = cv2.distanceTransform(255 - cv2.Canny(levels, 50, 150), cv2.DIST_L2, 5)
        near = cv2.blur(np.minimum(near, 20), (3, 3)).astype(np.uint8)
        lit = levels * np.float32(cv2.blur(cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, light), (3, 3)))
        return np.asarray(x + amount * (lit / lit.max())[..., None] * np.array([175, 238, 238]) / 255)

    compare("spatter", spatter, 1e-6)  # float32 there


def test_frost_is_cut_from_opencvs_photographs() -> None:
    cv2, package = peer.need("cv2"), peer.need("imagecorruptions")
    folder = Path(package.__file__).parent / "frost"
    frost(str(folder))  # they are the published ones, or this refuses them
    pictures = [cv2.imread(str(folder / name))[..., ::-1] for name in PUBLISHED]
    shrunk = [cv2.resize(picture, (0, 0), fx=0.2, fy=0.2) for picture in pictures]
    ours = [np.moveaxis(np.ascontiguousarray(picture), -1, 0) for picture in pictures]
    for severity in c.SEVERITIES:
        kept, added = CONSTANTS["frost"][severity - 1]
        found = corrupted("frost", severity, IMAGES, IDS, SEED, ours)
        for k, (which, down, across) in enumerate(draw("frost", severity).uniform("place", 3)):
            picture = shrunk[int(which * 5)]
            top, left = int(down * (len(picture) - 32)), int(across * (picture.shape[1] - 32))
            part = np.moveaxis(picture[top : top + 32, left : left + 32], -1, 0)
            expected = np.uint8(np.clip(kept * IMAGES[k] + added * part, 0, 255))
            assert np.abs(found[k].astype(int) - expected).max() <= 1  # a sum that is a whole level, cut off
            assert (found[k] == expected).mean() > 0.99


def test_photographs_are_decoded_alike() -> None:
    """By Pillow here and OpenCV there: PNG to the bit, JPEG to the level or two in which decoders may differ."""
    cv2, package = peer.need("cv2"), peer.need("imagecorruptions")
    decode = peer.need("raylab.data.decode").decode
    for name in PUBLISHED:
        path = Path(package.__file__).parent / "frost" / name
        ours, theirs = decode(path, name), np.moveaxis(cv2.imread(str(path))[..., ::-1], -1, 0)
        apart = np.abs(ours.astype(int) - theirs)
        assert apart.max() <= (0 if name.endswith("png") else 4), name
        assert apart.mean() < 0.5, name
