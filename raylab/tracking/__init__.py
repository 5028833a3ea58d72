"""What a tracker is told, and the tracker that tells MLflow."""

from raylab.tracking.records import DataRef, NullTracker, Param, Publication, Record, Run, Tracker, TrackerError

__all__ = ["DataRef", "NullTracker", "Param", "Publication", "Record", "Run", "Tracker", "TrackerError"]
