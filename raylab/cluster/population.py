"""Population based training (Jaderberg et al. 2017) as Tune's scheduler, in rounds: every so many epochs all trials
wait for each other, and a weak one takes over the weights of a strong one with changed values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining

from raylab.engine.search import PROGRESS, Scheduler
from raylab.engine.space import Distribution

NUMBER = "trial"  # in a trial's config, beside the fields of its point
RETURNED = "returned"  # in the last numbers of a trial, after which nothing can be changed


class SynchronousPopulation(PopulationBasedTraining):  # type: ignore[misc]  # Ray's types are skipped
    """Synchronous, for trials that are compared must have been trained equally long, whichever worker started late.

    What is drawn for a trial is a pure function of the seed, its number and its epoch.
    """

    def __init__(
        self, scheduler: Scheduler, space: Mapping[str, Distribution], seed: int, max_concurrent: int | None
    ) -> None:
        super().__init__(
            time_attr=PROGRESS,
            perturbation_interval=scheduler.interval,
            burn_in_period=scheduler.grace,
            hyperparam_mutations={path: _mutation(one) for path, one in space.items()},
            custom_explore_fn=partial(_within, dict(space)),
            log_config=False,  # each trial keeps its own schedule
            synch=True,
        )
        self.seed = seed
        # Tune's own limit counts trials that wait, and would wait for ever with them.
        self.max_concurrent = max_concurrent

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if result.get(RETURNED):
            return str(self.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))

    def _checkpoint_or_exploit(self, trial: Trial, *others: Any) -> None:
        before = random.getstate()  # of the process's own generator, from which Tune draws whom to copy and all changes
        random.seed(f"pbt {self.seed} {trial.config[NUMBER]} {self._trial_state[trial].last_train_time}")
        try:
            super()._checkpoint_or_exploit(trial, *others)
        finally:
            random.setstate(before)

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[dict[str, Any], dict[str, Any]]:
        config, operations = super()._get_new_config(trial, trial_to_clone)
        return {**config, NUMBER: trial.config[NUMBER]}, operations  # it takes the other's place, not its name

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        trials = tune_controller.get_trials()
        running = sum(trial.status == Trial.RUNNING for trial in trials)
        if self.max_concurrent is not None and running >= self.max_concurrent:
            return None
        chosen = super().choose_trial_to_run(tune_controller)
        waiting = [trial for trial in trials if trial.status == Trial.PAUSED]
        if chosen is None and waiting and not any(t.status in (Trial.RUNNING, Trial.PENDING) for t in trials):
            # The one that they all waited for has failed: Tune would not look at them again.
            self._next_perturbation_sync += self._perturbation_interval
            chosen = super().choose_trial_to_run(tune_controller)
        return chosen


def _mutation(one: Distribution) -> Any:
    return list(one.values) if one.values else partial(_drawn, one)


def _drawn(one: Distribution) -> Any:
    return one.at(random.random())


def _within(space: Mapping[str, Distribution], config: dict[str, Any]) -> dict[str, Any]:
    """A config that was multiplied by 0.8 or 1.2, back in its ranges."""
    return {name: space[name].clipped(value) if name in space else value for name, value in config.items()}
