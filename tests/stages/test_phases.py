"""A network whose recipe changes while it is trained: its schedule is its identity, and replays it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sweeps
import torch

from raylab.engine.stage import Stage, closure
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter, Worker
from raylab.stages.phases import Phase, phased
from raylab.stages.recipe import Recipe
from raylab.stages.weights import WEIGHTS


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(Store(str(tmp_path)), "cpu", {})


@pytest.fixture
def network(worker: Worker) -> Stage:
    """The source of the small sweep, over 6 epochs; its data is in the store."""
    config = {**sweeps.BASE, "train": {"epochs": 6, "lr": 0.002, "optimizer": "sgd", "schedule": "constant"}}
    cells = sweeps.prepared(config=config, trials=1, final=None).base.plan({})
    found = next(stage for cell, stage in cells.items() if stage.kind == "network" and cell.role == "network")
    for stage in closure([found])[:-1]:
        worker.run_task(stage, NullReporter())
    return found


def weights(worker: Worker, stage: Stage, reporter: Any = None) -> dict[str, torch.Tensor]:
    artifact = worker.run_task(stage, reporter or NullReporter())
    loaded: dict[str, torch.Tensor] = torch.load(io.BytesIO(artifact.read(WEIGHTS)), weights_only=True)
    return loaded


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def recipe_of(network: Stage, **changes: Any) -> Recipe:
    recipe: Recipe = network.config.recipe  # type: ignore[attr-defined]
    return recipe.model_copy(update=changes)


class Trace:
    """Keeps every state, and goes on from one."""

    def __init__(self, kept: bytes | None = None) -> None:
        self.kept, self.states = kept, dict[int, bytes]()

    def resume(self) -> bytes | None:
        return self.kept

    def report(self, metrics: Any, state: Any) -> None:
        self.states[int(metrics["epoch"])] = state()

    def weights(self, epoch: int) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = torch.load(io.BytesIO(self.states[epoch]), weights_only=True)["network"]
        return found


def test_phases_of_one_recipe_give_its_own_weights_under_another_key(worker: Worker, network: Stage) -> None:
    recipe = recipe_of(network)
    cut = phased(network, [Phase(2, recipe), Phase(5, recipe), Phase(6, recipe)])
    assert cut.key != network.key
    assert cut.kind != network.kind
    assert worker.store.find(network) is None
    trained = weights(worker, cut)
    assert worker.store.find(network) is None
    assert same(trained, weights(worker, network))
    assert cut.passes == network.passes


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"weight_decay": 0.5}, {"momentum": 0.1}, {"batch_size": 32}])
def test_a_change_takes_hold_at_its_epoch_and_not_before(
    worker: Worker, network: Stage, change: dict[str, Any]
) -> None:
    recipe, other = recipe_of(network), recipe_of(network, **change)
    plain, changed = Trace(), Trace()
    weights(worker, network, plain)
    weights(worker, phased(network, [Phase(3, recipe), Phase(6, other)]), changed)
    states = [
        [torch.load(io.BytesIO(t.states[n]), weights_only=True)["network"] for n in (3, 4)] for t in (plain, changed)
    ]
    assert same(states[0][0], states[1][0])
    assert not same(states[0][1], states[1][1])


@pytest.mark.parametrize("epoch", [1, 3, 4, 6])
def test_a_schedule_that_is_interrupted_ends_in_the_bits_of_its_replay(
    worker: Worker, network: Stage, epoch: int, tmp_path: Path
) -> None:
    stage = phased(
        network,
        [Phase(3, recipe_of(network)), Phase(6, recipe_of(network, weight_decay=0.5, momentum=0.5, lr=0.02))],
    )
    trace = Trace()
    whole = weights(worker, stage, trace)
    (tmp_path / "phased_network").rename(tmp_path / "gone")
    assert same(whole, weights(worker, stage, Trace(trace.states[epoch])))


@pytest.mark.parametrize(
    ("phases", "told"),
    [
        ([(3, {}), (3, {}), (6, {})], "later and later"),
        ([(3, {}), (5, {})], "the last after 6 epochs"),
        ([(3, {"optimizer": "adamw"}), (6, {})], "optimizer.*cannot change"),
        ([(3, {"epochs": 9}), (6, {})], "epochs.*cannot change"),
    ],
)
def test_what_no_training_can_do_is_refused(network: Stage, phases: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        phased(network, [Phase(until, recipe_of(network, **changes)) for until, changes in phases])


def test_the_cost_of_a_schedule_is_that_of_its_phases(network: Stage) -> None:
    from raylab.stages.recipe import Adversary

    def attacked(steps: int) -> Recipe:
        return recipe_of(network, adversary=Adversary(eps=0.5, steps=steps, step_share=1.0))

    base = replace(network, config=replace(network.config, recipe=attacked(1)), passes=12 * 300)  # type: ignore[type-var]
    assert phased(base, [Phase(3, attacked(1)), Phase(6, attacked(3))]).passes == (3 * 2 + 3 * 4) * 300
