"""D filtered to what another set keeps of every frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import toy

from raylab.core import spectra
from raylab.engine import columns, runner
from raylab.engine.artifact import Artifact
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.engine.store import Store
from raylab.stages.dataset import SeeFarData, open_data
from raylab.stages.spectrum import with_spectrum_of

DATA = open_data(SeeFarData(name="seefar", train_rows=60, test_rows=20), 0).train
COMPUTE = Compute(batch_rows=10, shard_rows=20)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("store")))


def built(stage: Stage, store: Store) -> Artifact:
    return runner.build({"x": stage}, store, InlineBackend(), toy.Recorder())["x"]


@dataclass(frozen=True)
class ChangedBody:
    """The images of D with the wave of every radius times a gain, and as much white noise; ids moved by `offset`."""

    doing = ("changing", "data set")
    gain: tuple[float, ...]
    noise: float
    offset: int
    in_driver = True

    def run(self, context: TaskContext) -> Metrics:
        batch = dict(context.inputs["data"].batch())
        image = spectra.scale(batch["image"], np.array(self.gain))
        image = image + self.noise * np.random.default_rng(0).standard_normal(image.shape)
        batch |= {"image": image, "id": batch["id"] + self.offset}
        table = columns.to_table(batch)
        context.write("part-00000.parquet", columns.to_parquet(table), table.num_rows)
        return {}


def changed(gain: Any = 1.0, noise: float = 0.0, offset: int = 0) -> Stage:
    gains = tuple(float(g) for g in np.broadcast_to(gain, 12))
    return Stage("changed", 1, ChangedBody(gains, noise, offset), {"data": DATA}, "changed")


def filtered(like: Stage, compute: Compute = COMPUTE, **options: Any) -> Stage:
    return with_spectrum_of(DATA, like, compute, rows=60, name="filtered", **options)


FALLING = np.array([1.0, *np.linspace(0.9, 0.1, 11)])


@pytest.mark.parametrize("like", [DATA, changed()])
@pytest.mark.parametrize("match", ["power", "correlation"])
def test_like_itself_it_is_itself(like: Stage, match: Any, store: Store) -> None:
    new, clean = built(filtered(like, match=match), store), built(DATA, store).batch()
    rows = new.batch()
    for name in ("id", "label", "shape_class", "toogit_class"):
        assert np.array_equal(rows[name], clean[name])
    assert rows["image"].dtype == np.float32
    np.testing.assert_allclose(rows["image"], clean["image"] / 255, atol=1e-6)
    np.testing.assert_allclose(new.metrics["gain"], 1.0, atol=1e-6)


def test_a_blurred_sets_spectrum_gives_the_blurred_set(store: Store) -> None:
    """And a gain of its own to the constant part it does not take over."""
    new = built(filtered(changed([2.0, *FALLING[1:]])), store)
    expected = np.clip(spectra.scale(built(DATA, store).batch()["image"], FALLING), 0, 1)
    np.testing.assert_allclose(new.batch()["image"], expected, atol=1e-6)
    np.testing.assert_allclose(new.metrics["gain"], FALLING, atol=1e-9)
    assert new.metrics["clipping"] < 0.01
    np.testing.assert_allclose(new.metrics["power"], spectra.power(new.batch()["image"]).mean(axis=0), rtol=1e-6)


def test_noise_adds_power_and_takes_correlation(store: Store) -> None:
    """Waves of power P with noise of power n: gains sqrt((P + n) / P), and 1 / that."""
    like = changed(noise=0.02)
    gains = [np.array(built(filtered(like, match=match), store).metrics["gain"]) for match in ("power", "correlation")]
    assert gains[0][9:].min() > 1.2  # above the toogits D has as little power as the noise
    np.testing.assert_allclose(gains[0][1:] * gains[1][1:], 1.0, atol=0.08)


def test_what_is_not_in_common_does_not_pass(store: Store) -> None:
    """Negated waves correlate at -1: no gain, not a negative one."""
    new = built(filtered(changed([1.0, *[-1.0] * 11]), match="correlation"), store)
    assert np.array(new.metrics["gain"])[1:].max() < 1e-6
    assert new.batch()["image"].std(axis=(2, 3)).max() < 1e-6


def test_clipping_is_told(store: Store) -> None:
    new = built(filtered(changed([1.0, *[5.0] * 11])), store)
    assert new.metrics["clipping"] > 1.0
    assert new.batch()["image"].max() == 1.0


def test_shards_change_nothing(store: Store) -> None:
    whole, parts = (filtered(changed(FALLING), Compute(batch_rows=10, shard_rows=rows)) for rows in (60, 10))
    assert np.array_equal(built(whole, store).batch()["image"], built(parts, store).batch()["image"])


def test_sets_of_other_examples_are_refused(store: Store) -> None:
    with pytest.raises(runner.BuildFailed, match=r"two sets with the same ids, got others in .* from row 0"):
        built(filtered(changed(offset=1)), store)


def test_the_match_is_part_of_the_key() -> None:
    assert filtered(changed(), match="correlation").key != filtered(changed()).key != filtered(DATA).key
