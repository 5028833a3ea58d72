"""What is known of every trial: one small file each below the sweep's folder, written when the trial has ended."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pydantic import TypeAdapter

from raylab.engine.artifact import CorruptArtifact
from raylab.engine.identity import short
from raylab.engine.redaction import excerpt
from raylab.engine.search import PROGRESS, Numbers
from raylab.engine.space import Point
from raylab.engine.store import Store

# finished: it has its numbers; stopped: a scheduler ended it; failed: its point cannot be trained or measured; lost:
# its process was killed each time, or raised what is no fault of the point, and the next run tries again
State = Literal["finished", "stopped", "failed", "lost"]
Schedule = tuple[tuple[int, Point], ...]


@dataclass(frozen=True)
class TrialRecord:
    """One trial that has ended."""

    number: int
    point: Point
    state: State
    numbers: Numbers  # by measure; of a stopped trial those of its last epoch
    error: str = ""
    epochs: int = 0  # of the watched training, run or found in the store
    seconds: float = 0.0  # in the process that ended it
    stages: tuple[str, ...] = ()  # keys of what was measured
    curve: tuple[tuple[float, float, float], ...] = ()  # per epoch: objective, training accuracy, loss
    # Of a trial that was changed on its way (pbt): what it was trained by until which epoch, the last being `point`.
    schedule: Schedule = ()

    def value(self, name: str) -> float:
        """nan where there is none."""
        found = self.numbers.get(name)
        return math.nan if found is None else float(found)

    @property
    def feasible(self) -> bool:
        return self.state == "finished" and all(value <= 0 for value in self.numbers.get("violations", ()))


LONGEST = 300  # characters of what is wrong with a record
_RECORD = TypeAdapter(TrialRecord)  # the types of what is read


class Records:
    """The trials of one sweep."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.folder = store, f"{store.root}/sweeps/{short(key)}"

    def read(self, number: int, point: Mapping[str, Any] | None = None) -> TrialRecord | None:
        """None where the trial has not ended, or was another one (of a sampler that went on from an older state).

        Raises CorruptArtifact where the record is not what was written.
        """
        remedy = f"remove it to have trial {number} run again: what was built for it is kept"
        read = self.store.get_json(self._path(number), remedy)
        if read is None:
            return None
        try:
            record = _from_json(read)
            if record.number != number:
                raise ValueError(f"the record of trial {record.number}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            why = excerpt(str(error), LONGEST)
            raise CorruptArtifact(f"{self._path(number)}: not the record of a trial ({why}); {remedy}") from error
        return record if point is None or plain(record.point) == plain(point) else None

    def write(self, record: TrialRecord) -> None:
        self.store.put_json(self._path(record.number), finite(asdict(record)))

    def all(self, count: int, points: Sequence[Point] = ()) -> dict[int, TrialRecord]:
        """Those of the first `count` trials that have ended; where their `points` are known, at these."""
        read = self.store.map_parallel(
            lambda number: self.read(number, points[number] if points else None), range(count)
        )
        return {number: record for number, record in enumerate(read) if record is not None}

    def _path(self, number: int) -> str:
        return f"{self.folder}/trials/{number:05d}.json"


def state_of(numbers: Numbers) -> tuple[State, str]:
    error = numbers.get("error")
    return ("failed", str(error)) if error else ("finished", "")


def epochs_of(numbers: Numbers) -> int:
    found = numbers.get(PROGRESS, 0)
    return 0 if found is None or not math.isfinite(found) else int(found)


def plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))


def finite(value: Any) -> Any:
    """JSON has no nan: null stands for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def _from_json(read: dict[str, Any]) -> TrialRecord:
    curve = tuple(tuple(math.nan if v is None else v for v in row) for row in read.pop("curve", ()))
    read["numbers"]["violations"] = [math.nan if v is None else v for v in read["numbers"].get("violations", ())]
    schedule = tuple((int(until), point) for until, point in read.pop("schedule", ()))
    whole = {**read, "stages": tuple(read["stages"]), "curve": curve, "schedule": schedule}
    if whole.keys() - {field.name for field in fields(TrialRecord)}:
        raise ValueError(f"it has the fields {sorted(whole)}")
    return _RECORD.validate_python(whole)
