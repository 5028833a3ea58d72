"""Trials without Ray, one after the other in this process: the oracle of the tests."""

from __future__ import annotations

from raylab.config import ConfigError
from raylab.engine.runner import describe
from raylab.engine.search import Body, Ended, OnEnded, Scheduler, Search
from raylab.engine.store import Store
from raylab.engine.worker import NullReporter


class InlineSearcher:
    """Points in their order, each to its end."""

    def __init__(self, device: str) -> None:
        self.device = device

    def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
        del store
        check_inline(search.scheduler, bool(search.points))
        for number in search.left:
            point = search.points[number]
            try:
                ended = Ended(number, point, body(number, point, self.device, NullReporter()))
            except Exception as error:  # no verdict on the point: the next run tries it again
                ended = Ended(number, point, {}, describe(error))
            on_line(ended)
            on_ended(ended)

    def forget_trials(self, search: Search, store: Store) -> None:
        """Nothing outlives this process."""


def check_inline(scheduler: Scheduler, listed: bool) -> None:
    """Raises ConfigError where the search needs Tune."""
    if scheduler.name != "fifo" or not listed:
        raise ConfigError(
            [
                "backend: inline runs a grid or a random search to its end; a sampler that learns and a scheduler that "
                "stops or changes trials are Ray Tune's: take backend: ray"
            ]
        )
