"""A function as Tune runs it: under a name that people know, and without the driver's credentials in Ray's logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.trainable import wrap_function

NAME = "trial"  # by which Tune knows what it runs
LONGEST = 80  # characters of a name on Ray's dashboard

# Tune gives these to every trial by way of its runtime environment, whose values Ray writes into the logs of all nodes.
# The workers have them already (connect.py). There is no public way to say so.
class_cache.ENV_VARS_TO_PROPAGATE.difference_update(
    {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
)


def trainable(function: Callable[..., Any], need: Mapping[str, float], work: str) -> type:
    """Ray calls the actors `work`; otherwise they would all be ImplicitFunc.

    `need`: cpu, gpu, and memory in bytes, of one trial.
    """
    wrapped = wrap_function(tune.with_resources(function, dict(need)), name=NAME)
    return type(work, (wrapped,), {"__repr__": lambda _: work})
