"""Balls and corruptions of one's own by `module:object`: checked before compute, and known by their code."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import toy
from own_pieces.corruptions import dark_rows

from raylab.config import ConfigError, load
from raylab.core.balls import L2Ball
from raylab.core.pgd import descend
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage
from raylab.engine.store import Store
from raylab.stages.construction import Attack, construct
from raylab.stages.corruption import Corruptions, as_bytes, changed, corrupted
from raylab.stages.dataset import DigitsData, open_data
from raylab.stages.images import to_tensor
from raylab.stages.norm import ball
from raylab.stages.own_object import modules_of
from raylab.stages.patterns import random_patterns
from raylab.stages.phases import Phase, phased
from raylab.stages.recipe import Adversary, Recipe
from raylab.stages.training import train

DATA = open_data(DigitsData(per_class=5), 0)
COMPUTE = Compute(batch_rows=10, shard_rows=20)
BALL, ROWS = "own_pieces.balls:UpperHalf", "own_pieces.corruptions:dark_rows"
NETWORK = train("linear", Recipe(epochs=1), DATA.train, DATA.images, 0, rows=50, name="linear")


def made(norm: str = BALL) -> Stage:
    attack = Attack(norm=norm, eps=0.5, steps=3)
    return construct("det", attack, DATA.train, NETWORK, DATA.images, 0, "train", COMPUTE, rows=50, name="det")


def asked(name: str = ROWS) -> Stage:
    changes = Corruptions(names=("contrast", name))
    return changed(changes, {"linear": NETWORK}, DATA.test, DATA.images, 0, COMPUTE, rows=50, name="changed")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module and gives its name, a new one each time."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = itertools.count()

    def write(source: str) -> str:
        name = f"somebodys_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(f"import dataclasses, numpy as np, torch\n{source}")
        importlib.invalidate_caches()
        return name

    yield write
    for name in [name for name in sys.modules if name.startswith("somebodys_")]:
        del sys.modules[name]


# -- balls


def test_an_attack_stays_in_a_ball_of_ones_own(tmp_path: Path) -> None:
    built = runner.build({"set": made(), "data": DATA.train}, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    rows, clean = built["set"].batch(), built["data"].batch()
    delta = rows["image"] - to_tensor(clean["image"], "cpu").numpy()
    assert np.abs(delta[:, :, 4:]).max() < 1e-6
    assert np.linalg.norm(delta.reshape(50, -1), axis=1).max() < 0.5 + 1e-5
    assert np.linalg.norm(delta.reshape(50, -1), axis=1).mean() > 0.3


def test_a_network_is_trained_against_a_ball_of_ones_own(tmp_path: Path) -> None:
    against = Recipe(epochs=1, adversary=Adversary(norm=BALL, eps=0.5, ramp=0.0))
    plain = Recipe(epochs=1, adversary=Adversary(eps=0.5, ramp=0.0))
    trained = {
        name: train("linear", recipe, DATA.train, DATA.images, 0, rows=50, name=name)
        for name, recipe in {"own": against, "l2": plain}.items()
    }
    assert set(modules_of([trained["own"]])) == {"own_pieces", "own_pieces.balls"}
    assert modules_of([phased(trained["own"], [Phase(1, against)])]) == modules_of([trained["own"]])
    built = runner.build(trained, Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    assert built["own"].metrics["loss"] != built["l2"].metrics["loss"]
    x, y = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    attack = against.adversary.arguments["adversary"]  # type: ignore[union-attr]
    attacked = attack(torch.nn.Flatten().eval(), x, y, 1.0)
    assert torch.equal(attacked[:, :, 4:], x[:, :, 4:])
    assert not torch.equal(attacked[:, :, :4], x[:, :, :4])


def test_l2_by_reference_gives_the_images_of_l2() -> None:
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    balls = (ball("raylab.core.balls:L2Ball", 0.5), L2Ball(0.5))
    own, l2 = (descend(lambda z: z.flatten(1).sum(1), x, one, 0.1, 5).best for one in balls)
    assert torch.equal(own, l2)


BALL_OF = """
@dataclasses.dataclass(frozen=True)
class Mine:
    eps: float
    def project(self, delta): {project}
    def steepest(self, gradient): {steepest}
"""
BAD_BALLS = {
    "class Mine:\n    def __init__(self, eps): pass": "must be a dataclass with the one field eps",
    "class Mine:\n    pass": r"must be callable as Ball\(eps\)",
    "Mine = 3": "it is a int",
    "@dataclasses.dataclass\nclass Mine:\n    eps: float": "got no project and no steepest",
    BALL_OF.format(project="return delta[:1]", steepest="return gradient"): r"must give .* \(2, 1, 8, 8\), got \(1",
    BALL_OF.format(project="return None", steepest="return gradient"): "project must give .* got NoneType",
    BALL_OF.format(project="return delta / 0", steepest="return gradient"): "project must give finite numbers",
    BALL_OF.format(project="return 1 / 0", steepest="return gradient"): "project fails on images of 2x1x8x8: ZeroDiv",
    BALL_OF.format(project="return delta * 0", steepest="return gradient.flatten()"): "steepest must give",
    BALL_OF.format(project="return delta * 0 + 1", steepest="return gradient"): "project must keep 0 where it is",
    BALL_OF.format(project="return delta / 2", steepest="return gradient"): "project must keep what it has projected",
    BALL_OF.format(
        project="return delta * self.eps / max(delta.norm(), self.eps)", steepest="return gradient"
    ): "project must treat each example alone",
}


@pytest.mark.parametrize("source", BAD_BALLS)
def test_what_is_no_ball_is_refused_before_anything_runs(written: Callable[[str], str], source: str) -> None:
    with pytest.raises(ValueError, match=BAD_BALLS[source]):
        made(f"{written(source)}:Mine")


@pytest.mark.parametrize("where", ["attack: {norm: nobody_has_it:Ball}", "attack: {norm: own_pieces.balls:Nothing}"])
def test_a_ball_that_is_not_there_is_an_error_of_the_plan(where: str) -> None:
    from raylab.experiments.transfer import TransferMatrix, plan

    with pytest.raises(ValueError, match=r"no module nobody_has_it|has no Nothing; it has"):
        plan(load(TransferMatrix, where))


def test_a_norm_that_is_neither_a_name_nor_a_reference_is_refused_by_the_config() -> None:
    with pytest.raises(ConfigError, match=r"no norm of that name, got 'l3'; choose from l2, linf"):
        load(Attack, "norm: l3")
    with pytest.raises(ConfigError, match=r"got 'lnf'; did you mean 'linf'\? \(or module:object"):
        load(Attack, "norm: lnf")


def test_patterns_need_a_norm_that_is_known() -> None:
    with pytest.raises(ValueError, match=r"the control `leakage`\) needs a norm of l2, linf, got own_pieces"):
        random_patterns(DATA.images, 0.5, BALL, 0, "patterns")


# -- corruptions


def test_a_corruption_of_ones_own_is_measured_beside_the_benchmarks(tmp_path: Path) -> None:
    stage = asked()
    built = runner.build({"x": stage}, Store(str(tmp_path)), InlineBackend(), toy.Recorder())["x"]
    assert built.metrics["variants"][5:] == [ROWS] * 5
    assert built.metrics["accuracy"]["linear"][9] != built.metrics["clean"]["linear"]
    images, ids = (255 * torch.rand(6, 1, 8, 8)).byte().numpy(), np.arange(6)
    assert np.array_equal(corrupted(ROWS, 3, as_bytes(images), ids, 1), dark_rows(images.copy(), 3, ids, 1))


BAD_CORRUPTIONS = {
    "def mine(images): return images": r"must be callable as corrupt\(images, severity, ids, seed\)",
    "def mine(images, severity, ids, seed): return images[:, 0]": r"uint8 images of shape \(2, 1, 8, 8\) are needed",
    "def mine(images, severity, ids, seed): return images / 255": r"are needed, got float64 \(2, 1, 8, 8\)",
    "def mine(images, severity, ids, seed): return 1 / 0": "severity 1: ZeroDivisionError",
    "def mine(images, severity, ids, seed): return np.random.randint(0, 255, images.shape).astype('uint8')": (
        "other pixels when it is called again"
    ),
    "def mine(images, severity, ids, seed): return (images - images.mean()).astype('uint8')": "of an image alone",
}


@pytest.mark.parametrize("source", BAD_CORRUPTIONS)
def test_what_is_no_corruption_is_refused_before_anything_runs(written: Callable[[str], str], source: str) -> None:
    with pytest.raises(ValueError, match=BAD_CORRUPTIONS[source]):
        asked(f"{written(source)}:mine")


def test_a_corruption_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no module nobody_has_it"):
        asked("nobody_has_it:corrupt")
    with pytest.raises(ConfigError, match=r"no corruption of that name, got 'fogg'; did you mean 'fog'\?"):
        load(Corruptions, "names: [fogg]")


# -- identity


def test_the_key_has_the_code_and_workers_are_told_which_modules_they_need() -> None:
    assert set(modules_of([made(), NETWORK])) == {"own_pieces", "own_pieces.balls"}
    assert set(modules_of([asked()])) == {"own_pieces", "own_pieces.corruptions"}
    assert modules_of([made("l2")]) == {}


def test_other_code_is_another_key_and_is_refused_where_the_driver_has_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = (Path(__file__).parent.parent / "own_pieces" / "balls.py").read_text()
    stages = []
    for text in (source, f"{source}\n# another"):
        (tmp_path / "moving_ball.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("moving_ball", None)
        stages.append(made("moving_ball:UpperHalf"))
    assert stages[0].key != stages[1].key
    with pytest.raises(ValueError, match=r"module moving_ball .* is another one here"):
        _ = stages[0].config.attack.ball  # type: ignore[attr-defined]
    assert isinstance(stages[1].config.attack.ball, sys.modules["moving_ball"].UpperHalf)  # type: ignore[attr-defined]
    sys.modules.pop("moving_ball")


def test_built_in_norms_and_names_keep_their_keys() -> None:
    assert Attack(norm="l2").pinned(DATA.images).norm == "l2"
    names = Corruptions().pinned(DATA.images).names
    assert all(type(name) is str for name in names)
