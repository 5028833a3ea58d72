"""A sweep as its file says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from raylab.config import AnyValue, Config
from raylab.engine.search import Aim, Direction, Scheduler
from raylab.engine.space import Distribution, grid
from raylab.experiments.fields import Seeds
from raylab.report.experiments import Name

Title = Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,60}$")]
Selector = Annotated[dict[str, AnyValue], Field(min_length=1)]  # field of a cell -> value, or several
MAX_TRIALS = 10_000
# Ours in what a trial reports and in the frame, and Tune's.
RESERVED = {
    *("epoch", "violations", "error", "curve", "schedule", "seconds", "train accuracy", "train loss"),
    *("trial", "state", "feasible", "judged_on", "epochs"),
    *("done", "returned", "raised", "config", "training_iteration", "time_total_s", "time_this_iter_s", "timestamp"),
    *("date", "pid", "hostname", "node_ip", "trial_id", "experiment_tag", "checkpoint_dir_name", "should_checkpoint"),
    *("time_since_restore", "iterations_since_restore"),
}


class Measure(Config):
    """A number of the cells that have these fields, as a mean over their seeds."""

    name: Title  # in tables and trials
    cell: Selector  # fields of the cells and their values
    metric: str = "accuracy"  # of the artifact; "a.b" is b in a


class Objective(Measure):
    direction: Direction = "max"  # which way is better

    @property
    def sign(self) -> float:
        """Times this, larger values are better."""
        return 1.0 if self.direction == "max" else -1.0


class Constraint(Measure):
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Constraint:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("one of at_most and at_least; a range takes two constraints")
        return self

    def violation(self, value: float) -> float:
        """How far on the wrong side; 0 or less is right."""
        if self.at_most is not None:
            return value - self.at_most
        assert self.at_least is not None
        return self.at_least - value


class Selection(Config):
    """Which test images the trials are judged on. The constructed sets have no validation split, for their labels are
    wrong; so half of the clean test set chooses, and the other half, on which no trial is judged, reports."""

    split: Literal["half", "test"] = "half"  # "test": on what is reported, which is then marked everywhere
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # seed of the cut in halves


class Final(Config):
    """What is trained once more, for the report: the winner, the config as it was before the sweep, and for each of the
    sweep's controls the config that was best for it."""

    seeds: Seeds = (1000, 1001, 1002)  # seeds of the report, none of which a trial has used
    beside: tuple[Measure, ...] = ()  # other cells of these configs: measured, and not tuned


class Sweep(Config):
    """A search over fields of an experiment's config."""

    study: Title = "sweep"  # name of the sweep, also the experiment's in MLflow
    experiment: Name  # whose config is swept over
    # What is swept over: a file below the folder of configs, or the config itself. {}: the experiment's default.
    config: str | dict[str, AnyValue] = Field(default_factory=dict)
    changes: tuple[str, ...] = ()  # key.path=value, as on a command line
    # By dotted key: uniform, loguniform, integers, choice or grid.
    space: Annotated[dict[str, Distribution], Field(min_length=1)]
    sampler: Literal["grid", "random", "tpe"] = "random"  # how the points are chosen
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None  # how many; None: all of a grid, else 20
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # seed of the sampler
    scheduler: Scheduler = Scheduler()
    # What is sought; with several, the first names the winner.
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()  # what a winner must fulfil
    # Measured in every trial too, and each reported at its own best trial: tuned at the same budget as the objective.
    controls: tuple[Objective, ...] = ()
    curves: bool = False  # judge every epoch also where no scheduler asks for it
    selection: Selection = Selection()
    final: Final | None = Final()
    tensorboard: bool = Field(default=False, exclude=True)  # files of each trial in Tune's folder

    @model_validator(mode="after")
    def _check_sampler(self) -> Sweep:
        if self.sampler == "grid":
            loose = [path for path, one in self.space.items() if not one.values]
            if loose:
                raise ValueError(f"sampler: grid needs a list for each field, {loose} have none; write grid: [...]")
            if self.trials is not None:
                raise ValueError(f"trials: a grid has as many as it has points, got {self.trials}; remove it")
            count = 1
            for one in self.space.values():
                count *= len(one.values)
            if count > MAX_TRIALS:
                raise ValueError(f"space: a grid of at most {MAX_TRIALS} points, got {count}; take sampler: random")
        else:
            gridded = [path for path, one in self.space.items() if one.kind == "grid"]
            if gridded:
                raise ValueError(f"space: grid belongs to sampler: grid, got {gridded}; write choice: [...] there")
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Sweep:
        names = [measure.name for measure in self.measures]
        if len(set(names)) < len(names):
            raise ValueError(f"objectives, constraints and controls: each name once, got {names}")
        reserved = RESERVED & set(names)
        if reserved:
            raise ValueError(
                f"objectives, constraints and controls: {sorted(reserved)} is a name of ours; choose another"
            )
        if self.scheduler.name != "fifo" and len(self.objectives) > 1:
            raise ValueError(
                f"scheduler: {self.scheduler.name} compares trials by one objective, got {len(self.objectives)}; "
                "take name: fifo, or make the others constraints"
            )
        return self

    @model_validator(mode="after")
    def _check_steering(self) -> Sweep:
        if self.sampler == "tpe" and self.scheduler.changes:
            raise ValueError("sampler: tpe proposes points, and so does scheduler: pbt; take sampler: random")
        if self.controls and (self.sampler == "tpe" or self.scheduler.name != "fifo"):
            raise ValueError(
                f"controls: with sampler: {self.sampler} and scheduler: {self.scheduler.name} the objective says which "
                "trials are run to their end, so a control would not be tuned as it is; take a grid or a random "
                "search with fifo, or tune the control by this same sweep with it as the objective"
            )
        return self

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that a trial measures."""
        return (*self.objectives, *self.constraints, *self.controls)

    @property
    def aims(self) -> tuple[Aim, ...]:
        return tuple(Aim(one.name, one.direction) for one in self.objectives)

    @property
    def count(self) -> int:
        """Trials."""
        if self.sampler == "grid":
            return len(grid(self.space))
        return 20 if self.trials is None else self.trials

    @property
    def watched(self) -> bool:
        """Whether the objective is judged after every epoch."""
        return self.curves or self.scheduler.name != "fifo"
