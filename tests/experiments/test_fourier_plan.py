"""The plan of Fourier analysis: what is asked of which network, what shares what, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raylab.engine.stage import Stage
from raylab.experiments.fourier import Filtered, Fourier, FourierCell, plan
from raylab.experiments.fourier.config import NETWORKS
from raylab.stages.corruption import Corruptions, FilteredNoise
from raylab.stages.dataset import DigitsData
from raylab.stages.heat_map import HeatMap
from raylab.stages.recipe import Adversary, Recipe

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "fourier").rglob("*.yaml"))


def small(**changed: Any) -> dict[FourierCell, Stage]:
    return plan(Fourier(**{"seeds": (0, 1), **changed}))


def config(stage: Stage) -> Any:
    return stage.config


def test_every_network_is_asked_everything_in_every_seed() -> None:
    roles = Counter(cell.role for cell in small())
    assert roles["network"] == roles["test"] == roles["heat_map"] == len(NETWORKS) * 2
    assert roles["changed"] == roles["noise"] == 2
    given = Filtered()
    assert roles["filtered"] == roles["band"] == 2 * (len(given.low) + len(given.high))
    assert set(small()[FourierCell("changed", 1)].inputs) >= {*NETWORKS, "data"}


def test_a_part_that_is_null_is_left_out() -> None:
    roles = {cell.role for cell in small(corruptions=None, noise=None, filtered=None)}
    assert roles == {"data", "shown", "network", "test", "heat_map"}


def test_only_one_network_sees_noise_and_only_one_an_adversary() -> None:
    cells = small()
    recipes = {name: config(cells[FourierCell("network", 0, name)]).recipe for name in NETWORKS}
    assert [recipes[name].gaussian is not None for name in NETWORKS] == [False, True, False]
    assert [recipes[name].adversary is not None for name in NETWORKS] == [False, False, True]
    assert len({config(cells[FourierCell("network", 0, name)]).seed for name in NETWORKS}) == 3


def test_networks_of_bands_differ_in_their_images_alone_and_are_tested_on_the_same_band() -> None:
    cells = small()
    bands = [cell for cell in cells if cell.role == "filtered" and cell.seed == 0]
    trained = [cells[cell].inputs["model"] for cell in bands]
    assert len({(config(stage).seed, config(stage).recipe) for stage in trained}) == 1
    for cell, network in zip(bands, trained, strict=True):
        tested = cells[cell].inputs["data"]
        assert tested.key == cells[cell._replace(role="band")].key
        assert config(tested) == config(network.inputs["data"])
        assert config(tested.inputs["data"]).split == "test"
        assert config(network.inputs["data"].inputs["data"]).split == "train"
        assert (config(tested).passes, config(tested).bandwidth) == (cell.passes, cell.bandwidth)


def test_a_seed_changes_world_networks_signs_and_noise() -> None:
    cells = small()
    for cell in (
        FourierCell("network", 0, "standard"),
        FourierCell("heat_map", 0, "standard"),
        FourierCell("noise", 0),
    ):
        assert config(cells[cell]).seed != config(cells[cell._replace(seed=1)]).seed
    assert cells[FourierCell("shown", 0)].key != cells[FourierCell("shown", 1)].key


def test_another_norm_trains_nothing_anew() -> None:
    def networks(cells: dict[FourierCell, Stage]) -> set[str]:
        return {stage.key for cell, stage in cells.items() if cell.role == "network"}

    assert networks(small(heat_map=HeatMap(norm=2.0))) == networks(small())


@pytest.mark.parametrize(("changed", "said"), [
    ({"standard": Recipe(gaussian=0.1)}, "standard.gaussian: null, got noise"),
    ({"gaussian": Recipe()}, "gaussian.gaussian: how much noise"),
    ({"adversarial": Recipe()}, "adversarial.adversary: the adversary, got none"),
    ({"standard": Recipe(adversary=Adversary(eps=1.0))}, "standard.adversary: null, got one"),
    ({"network": "mpl"}, "did you mean 'mlp'"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_its_remedy(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Fourier(**changed)


def test_bandwidths_are_sorted_and_fit_the_images() -> None:
    for given in (Filtered, FilteredNoise):
        with pytest.raises(ValidationError, match="increasing"):
            given(low=(5, 3))
    with pytest.raises(ValueError, match="bandwidth: 4 of 16 frequencies cannot be symmetric"):
        small(filtered=Filtered(low=(4,)))
    with pytest.raises(ValueError, match="bandwidth: 4 of 8 frequencies"):
        small(data=DigitsData(), corruptions=None, noise=FilteredNoise(low=(), high=(4,)))
    with pytest.raises(ValidationError, match="names: each at most once"):
        Corruptions(names=("fog", "fog"))
