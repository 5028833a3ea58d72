"""The backend that runs on Ray. Ray is imported and started when there is something to build, not before."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from raylab.engine import provenance
from raylab.engine.backend import BackendAbsent, OnOutcome
from raylab.engine.search import Body, OnEnded, Search
from raylab.engine.stage import Stage
from raylab.engine.store import Store
from raylab.site import SiteFile


class RayBackend:
    """Tasks through Ray Tune, shards through Ray Data, on the cluster of RAY_ADDRESS or one of this machine."""

    def __init__(self, site: SiteFile, gpus: int | None = None, work: str = "") -> None:
        """`gpus`: how many a cluster that is started here says it has (None: those present); for tests without any.
        `work`: what Ray calls the job."""
        self.site, self.gpus, self.work = site, gpus, work

    def check(self, modules: Mapping[str, str] | None = None, room: int = 0) -> None:
        """Refuse what the machine or the cluster cannot give. `modules`: those that workers must have, with their
        sha256; `room`: bytes of temporary files that a worker of a cluster needs. Raises preflight.SiteError; without
        RAY_ADDRESS nothing is started for it."""
        from raylab.cluster import preflight

        if os.environ.get("RAY_ADDRESS"):
            try:
                self._connect()
            except BackendAbsent as error:
                raise preflight.SiteError(str(error)) from error
            preflight.check_cluster(self.site, modules or {}, room)
        else:
            preflight.check_machine(self.site, self.gpus)

    def run_tasks(self, name: str, stages: Sequence[Stage], store: Store, on_outcome: OnOutcome) -> None:
        self._connect()
        from raylab.cluster import preflight, tasks  # Tune costs seconds to import: only where a task is to run

        share = preflight.gpu_share(self.site.trials.gpus)
        tasks.run_tasks(name, stages, store, provenance.collect(), self.site.trials, share, on_outcome)

    def map_shards(self, shards: Sequence[tuple[Stage, int]], store: Store, on_outcome: OnOutcome) -> None:
        self._connect()
        from raylab.cluster import map as mapping
        from raylab.cluster import preflight

        mapping.map_shards(
            shards,
            store,
            provenance.collect(),
            self.site.actors,
            preflight.gpu_share(self.site.actors.gpus),
            self.site.no_progress_seconds,
            on_outcome,
        )

    def run_trials(self, search: Search, body: Body, store: Store, on_ended: OnEnded, on_line: OnEnded) -> None:
        self._connect()
        from raylab.cluster import preflight, trials

        share = preflight.gpu_share(self.site.trials.gpus)
        trials.run_trials(search, body, store, self.site.trials, share, on_ended, on_line, self.work or "a sweep")

    def forget_trials(self, search: Search, store: Store) -> None:
        from raylab.cluster import trials

        trials.forget(search, store)

    def _connect(self) -> None:
        from raylab.cluster.connect import connect

        try:
            connect(self.site.cpus, self.gpus, self.work)
        except ConnectionError as error:
            raise BackendAbsent(str(error)) from error
