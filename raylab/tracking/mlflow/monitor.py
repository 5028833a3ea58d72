"""MLflow's own monitor of the driver's machine (`system/...`: processors, memory, disk, GPUs) for long jobs."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

SECONDS = 10.0  # between two samples
SAMPLES = 3  # of which the mean is logged


class Monitor:
    """Samples from its start, which does nothing the second time, to its end. Without psutil, which MLflow's monitor
    needs, there is none (`pip install psutil`; the extra `cluster` has it)."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._monitor: SystemMetricsMonitor | None = None

    def start(self, run_id: str) -> None:
        if self._monitor is not None or find_spec("psutil") is None:
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        # That it starts and ends is no news; a sample that is lost is no reason to worry anybody.
        logging.getLogger(SystemMetricsMonitor.__module__).setLevel(logging.ERROR)
        # Steps go on where an earlier job of the same study ended.
        self._monitor = SystemMetricsMonitor(run_id, SECONDS, SAMPLES, resume_logging=True, tracking_uri=self._uri)
        self._monitor.start()

    def end(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
