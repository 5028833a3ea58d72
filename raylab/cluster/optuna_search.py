"""Optuna's tree-structured Parzen estimator as Tune's searcher, with constraints and several objectives."""

from __future__ import annotations

import math
from typing import Any

import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from raylab.cluster.population import NUMBER
from raylab.engine.identity import fingerprint
from raylab.engine.search import Numbers, Search
from raylab.engine.space import Point, for_optuna, point_for_optuna

VIOLATIONS = "violations"


class Proposed(OptunaSearch):  # type: ignore[misc]  # Ray's types are skipped
    """Each trial's point follows from those that have ended: not a pure function of the seed where trials overlap.

    Tune's own searcher has no constraints: here the trial's violations are noted where Optuna's sampler reads them, and
    one that failed is told of as such.
    """

    def __init__(self, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        names, modes = [aim.name for aim in search.aims], [aim.direction for aim in search.aims]
        several = len(names) > 1
        super().__init__(
            {path: for_optuna(one) for path, one in search.space.items()},
            metric=names if several else names[0],
            mode=modes if several else modes[0],
            sampler=optuna.samplers.TPESampler(seed=_seed(search)),
        )
        self.searched = dict(search.space)
        self.numbers, self.constraints = search.left, search.constraints
        for _, point, numbers in search.done:
            if not any(math.isnan(_number(numbers.get(name))) for name in names):
                self._know(point, numbers)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if not self.numbers:
            return str(Searcher.FINISHED)
        return {NUMBER: self.numbers.pop(0), **super().suggest(trial_id)}

    def on_trial_complete(self, trial_id: str, result: Numbers | None = None, error: bool = False) -> None:
        failed = error or result is None or bool(result.get("error"))
        if not failed and result is not None and trial_id not in self._completed_trials:
            # One that ended early has met no constraint yet: it is no example of either side.
            for name, violation in zip(self.constraints, result.get(VIOLATIONS) or (), strict=False):
                self._ot_trials[trial_id].set_constraint(name, violation)
        super().on_trial_complete(trial_id, None if failed else result, failed)

    def _know(self, point: Point, numbers: Numbers) -> None:
        """A trial that ended in a search whose state is lost."""
        names = self.metric if isinstance(self.metric, list) else [self.metric]
        self._ot_study.enqueue_trial(point_for_optuna(point, self.searched))
        trial = self._ot_study.ask(fixed_distributions=self._space)
        for name, violation in zip(self.constraints, numbers.get(VIOLATIONS) or (), strict=False):
            trial.set_constraint(name, violation)
        self._ot_study.tell(trial, [numbers[name] for name in names])


def _seed(search: Search) -> int:
    """One that begins anew with some trials done must not draw their points again."""
    return int(fingerprint((search.seed, len(search.done)))[:8], 16) if search.done else search.seed


def _number(value: float | None) -> float:
    return math.nan if value is None else value
