"""How much of an objective's variance each swept field explains: Optuna's functional ANOVA over the finished trials."""

from __future__ import annotations

from raylab.engine.space import for_optuna, point_for_optuna
from raylab.sweep.config import Objective
from raylab.sweep.results import SweepResults

LEAST = 8  # finished trials: a forest over fewer says nothing


def importances(results: SweepResults, objective: Objective) -> dict[str, float]:
    """Share by field, the largest first; empty where there are too few trials, nothing varies, or trials changed on
    their way: their last values are not what made them."""
    space = results.sweep.space
    finished = [record for record in results.records if record.state == "finished"]
    values = [record.value(objective.name) for record in finished]
    if results.sweep.scheduler.changes or len(finished) < LEAST or len(space) < 2 or len(set(values)) < 2:
        return {}
    import optuna  # a second to import: not for a sweep without enough trials

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if objective.direction == "max" else "minimize")
    distributions = {path: for_optuna(one) for path, one in space.items()}
    for record, value in zip(finished, values, strict=True):
        params = point_for_optuna(record.point, space)
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
