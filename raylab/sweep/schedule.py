"""What population based training makes: networks of a schedule of recipes, in the place of those of one recipe."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.engine.stage import Stage, closure
from raylab.stages.phases import Phase, phased
from raylab.sweep.config import Sweep
from raylab.sweep.measure import replaced
from raylab.sweep.records import Schedule
from raylab.sweep.space import Base, Needs, needed, recipe_of, watched


def under(sweep: Sweep, base: Base, needs: Needs, schedule: Schedule) -> Needs:
    """The same measures of networks that were trained by the schedule, whatever their seeds."""
    phases = [Phase(until, recipe_of(watched(sweep, needed(sweep, base, point))[0])) for until, point in schedule]
    networks = [evaluation.inputs["model"] for evaluation in needs[sweep.objectives[0].name].values()]
    new = {network.key: phased(network, phases) for network in networks}
    return {
        name: {cell: replaced(stage, lambda one: new.get(one.key), "by schedule") for cell, stage in cells.items()}
        for name, cells in needs.items()
    }


def check(sweep: Sweep, points: Sequence[Needs]) -> None:
    """Raises ValueError where the space holds what cannot change during a training."""
    first, _ = watched(sweep, points[0])
    epochs = recipe_of(first).epochs
    if epochs <= sweep.scheduler.interval:
        raise ValueError(
            f"scheduler: pbt changes a training every {sweep.scheduler.interval} epochs, and this one has {epochs}; "
            "set interval below that"
        )
    for needs in points:
        network, _ = watched(sweep, needs)
        phased(first, [Phase(1, recipe_of(first)), Phase(epochs, recipe_of(network))])
        if different := _beside(sweep, points[0]).keys() ^ _beside(sweep, needs).keys():
            stages = {**_beside(sweep, points[0]), **_beside(sweep, needs)}
            raise ValueError(
                "scheduler: pbt changes how one network is trained while it is, but these fields also decide "
                f"{min(stages[key].name for key in different)}; sweep over that network's own recipe alone"
            )


def _beside(sweep: Sweep, needs: Needs) -> dict[str, Stage]:
    """All that does not hang on the watched network."""
    network, _ = watched(sweep, needs)
    stages = closure(stage for cells in needs.values() for stage in cells.values())
    return {stage.key: stage for stage in stages if network not in closure([stage])}
