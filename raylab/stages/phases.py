"""A network whose recipe changes while it is trained, as population based training makes one (Jaderberg et al. 2017).

It is a kind of its own: its weights are those of a schedule of recipes, so it is never found where a network of one
recipe is asked for. The schedule is its identity, and building it again replays it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raylab.core.fit import Epoch, State
from raylab.engine.stage import Stage
from raylab.stages.recipe import Recipe
from raylab.stages.training import OnEpoch, Training, arguments

# What a training can change on its way: no field that decides how long it is or what its optimizer remembers.
CHANGEABLE = frozenset(
    {"lr", "weight_decay", "momentum", "batch_size", "label_smoothing", "augment", "gaussian", "adversary"}
)


@dataclass(frozen=True)
class Phase:
    """A recipe, and the last epoch that is trained by it."""

    until: int
    recipe: Recipe


@dataclass(frozen=True)
class _PhasedTraining(Training):
    """The identity, beside the data; `recipe` is that of the last phase."""

    phases: tuple[Phase, ...]

    def fitted(self, run: Callable[..., list[Epoch]], on_epoch: OnEpoch, resume: State | None) -> list[Epoch]:
        state, last = resume, self.phases[-1]
        for phase in self.phases[:-1]:
            if state is None or len(state["records"]) < phase.until:
                keep = _Keep(on_epoch, phase.until)
                run(**arguments(phase.recipe), on_epoch=keep, resume=_under(phase.recipe, state), until=phase.until)
                state = keep.state
        return run(**arguments(last.recipe), on_epoch=on_epoch, resume=_under(last.recipe, state))


class _Keep:
    """The state at the end of a phase, from which the next one starts."""

    def __init__(self, on_epoch: OnEpoch, until: int) -> None:
        self.on_epoch, self.until = on_epoch, until
        self.state: State | None = None

    def __call__(self, epoch: Epoch, state: Callable[[], State]) -> None:
        if epoch.epoch == self.until:
            self.state = state()
        self.on_epoch(epoch, state)


def phased(network: Stage, phases: Sequence[Phase]) -> Stage:
    """That network, trained by these recipes one after the other.

    Raises ValueError where the phases are not in order, are not of one length, or differ in what cannot change.
    """
    training: Any = network.config
    phases = [replace(phase, recipe=phase.recipe.pinned(training.images)) for phase in phases]
    ends, last = [phase.until for phase in phases], phases[-1].recipe
    for phase in phases:
        if differing := sorted(_differing(phase.recipe, last) - CHANGEABLE):
            raise ValueError(f"{differing} cannot change during a training; {', '.join(sorted(CHANGEABLE))} can")
        if (phase.recipe.adversary is None) != (last.adversary is None):
            raise ValueError("adversary: a training is adversarial in all phases or in none")
    if ends != sorted(set(ends)) or ends[0] < 1 or ends[-1] != last.epochs:
        raise ValueError(f"phases end later and later, the last after {last.epochs} epochs, got {ends}")
    if last.stop is not None:
        raise ValueError("stop_at_accuracy: phases are counted in epochs, which a training that stops does not have")
    config = _PhasedTraining(**{**training.__dict__, "recipe": last, "phases": tuple(phases)})
    name = f"{network.name} ({len(phases)} phases)"
    passes = network.passes * sum(_passes(phases)) // max(1, training.recipe.passes)
    return Stage("phased_network", network.version, config, network.inputs, name, passes, network.room)


def _passes(phases: Sequence[Phase]) -> list[int]:
    """Of each phase, for one example."""
    starts = [0, *(phase.until for phase in phases)]
    return [
        phase.recipe.passes * (phase.until - start) // max(1, phase.recipe.epochs)
        for start, phase in zip(starts, phases, strict=False)
    ]


def _differing(one: Recipe, other: Recipe) -> set[str]:
    return {name for name, value in one if value != getattr(other, name)}


def _under(recipe: Recipe, state: State | None) -> State | None:
    """The state with the recipe's numbers where the optimizer keeps its own; `fit` sets the learning rate itself."""
    if state is None:
        return None
    optimizer = state["optimizer"]
    new = {"weight_decay": recipe.weight_decay, "momentum": recipe.momentum}
    groups = [{**group, **{name: v for name, v in new.items() if name in group}} for group in optimizer["param_groups"]]
    return {**state, "optimizer": {**optimizer, "param_groups": groups}}
