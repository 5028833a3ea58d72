from __future__ import annotations

import fcntl
import io
import math
import os
import pty
import re
import struct
import termios
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from toy import NumbersBody, faulty, numbers, squares

from raylab.engine.artifact import Artifact
from raylab.engine.backend import WorkOutcome
from raylab.engine.progress import Pace, Progress, doing, duration, rate, shortened
from raylab.engine.runner import BuildFailed, InlineBackend, build
from raylab.engine.stage import Stage
from raylab.engine.store import Store


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Body(NumbersBody):
    """Numbers, by another name."""

    doing: tuple[str, str] = field(default=("training", "network"), compare=False)


def networks(count: int) -> list[Stage]:
    return [Stage("network", 1, Body(i), {}, f"train {i}") for i in range(count)]


def an_artifact(tmp_path: Path) -> Artifact:
    return Artifact(Store(str(tmp_path)), "", {})


def test_a_log_gets_a_line_a_round_and_calm_ones_between(tmp_path: Path) -> None:
    stream, clock, stages = io.StringIO(), Clock(), networks(36)
    progress = Progress(stream, clock)
    progress.begin(2, stages)
    progress.start(stages, 36)
    for stage in stages:  # one every 4 s
        clock.now += 4.0
        progress.outcome(WorkOutcome(stage))
        progress.built(an_artifact(tmp_path))
    progress.end()
    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "to build: 36 artifacts in 1 round; 2 results in the store",
        "[1/1] training 36 networks",
        "[1/1] training 36 networks: 3 done, 33 left, about 2 min left",
    ]
    assert len(lines[2:-1]) == 11  # every 12 s: the first outcome after 10 s; none for the last one
    assert "33 done, 3 left, about 12 s left" in lines[-2]
    assert lines[-1] == "built 36 of 36 in 2 min"


def test_quick_rounds_get_no_line_between() -> None:
    stream, stages = io.StringIO(), networks(100)
    progress = Progress(stream, Clock())
    progress.begin(0, stages)
    progress.start(stages, 100)
    for stage in stages:
        progress.outcome(WorkOutcome(stage))
    assert len(stream.getvalue().splitlines()) == 2


def test_rounds_are_counted_as_the_runner_builds_them(tmp_path: Path) -> None:
    stream, store = io.StringIO(), Store(str(tmp_path))
    data = numbers(30)
    build({"data": data}, store, InlineBackend(), Progress(io.StringIO()))
    made = squares(data)
    again = squares(made, name="squares of squares")
    build({1: made, 2: again}, store, InlineBackend(), Progress(stream))
    assert re.findall(r"^\[.*", stream.getvalue(), re.MULTILINE) == [
        "[1/2] building 1 squares artifact (3 shards)",
        "[2/2] building 1 squares artifact (3 shards)",
    ]
    assert stream.getvalue().splitlines()[0] == "to build: 2 artifacts in 2 rounds; 0 results in the store"


def test_nothing_to_build_is_one_line(tmp_path: Path) -> None:
    stream, store = io.StringIO(), Store(str(tmp_path))
    cells = {"data": numbers(3)}
    build(cells, store, InlineBackend(), Progress(io.StringIO()))
    build(cells, store, InlineBackend(), Progress(stream))
    assert stream.getvalue() == "nothing to build: 1 result in the store\n"


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_failure_is_one_line_when_it_happens(kind: type[io.StringIO], tmp_path: Path) -> None:
    stream, bad = kind(), faulty("raise", tmp_path)
    with pytest.raises(BuildFailed):
        build({1: bad, 2: numbers(3)}, Store(str(tmp_path)), InlineBackend(), Progress(stream))
    assert f"failed: {bad.label}: ValueError: this task always fails\n" in stream.getvalue()
    assert "built 1 of 2" in stream.getvalue()


def test_a_long_error_and_its_line_breaks_still_make_one_line() -> None:
    stream, stage = io.StringIO(), numbers(1)
    Progress(stream).outcome(WorkOutcome(stage, 7, error="first\n" + "x" * 1000))
    (line,) = stream.getvalue().splitlines()
    assert line.startswith(f"failed: {stage.label}, shard 7: first xxx")
    assert len(line) < 400


def test_a_terminal_gets_one_bar_a_round_with_what_is_left_in_all(tmp_path: Path) -> None:
    stream, stages = Terminal(), networks(3)
    progress = Progress(stream)
    progress.begin(0, stages)
    progress.start(stages, 3)
    for stage in stages:
        progress.outcome(WorkOutcome(stage))
        progress.built(an_artifact(tmp_path))
    progress.end()
    text = stream.getvalue()
    assert "[1/1] training 3 networks 3/3" in text
    assert "3 artifacts left in all" in text
    assert "0 artifacts left in all" in text


KINDS = ("evaluation", "robustness", "neighbours", "constructed", "patterned")  # a head of 130 characters
ROUND = [
    Stage(kind, 1, Body(i, doing=(f"{kind} of many", "network")), {}, f"{kind} {i}")
    for kind in KINDS
    for i in range(240)
]


def on_a_terminal(columns: int) -> list[str]:
    """The lines of a bar over a round of many kinds, one end every 4 s, on a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clock = Clock()
    with ThreadPoolExecutor(1) as reader, os.fdopen(slave, "w") as stream:
        shown = reader.submit(
            all_that_is_written, master
        )  # beside the writer: a terminal hands on what it has, in pieces
        progress = Progress(stream, clock)
        progress.begin(0, ROUND)
        progress.start(ROUND, len(ROUND))
        for stage in ROUND[:5]:
            clock.now += 4.0
            progress.outcome(WorkOutcome(stage))
            assert progress._bar is not None
            progress._bar.refresh()
        progress.end()
        stream.close()
        return re.split(r"[\r\n]+", shown.result())


def all_that_is_written(master: int) -> str:
    """What is written to a terminal until its writer closes it, which Linux answers with EIO."""
    read = []
    with os.fdopen(master, "rb", buffering=0) as stream, suppress(OSError):
        while piece := stream.read(65536):
            read.append(piece)
    return b"".join(read).decode()


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_count_rate_and_time_left_are_seen_at_any_width(columns: int) -> None:
    lines = [line for line in on_a_terminal(columns) if line.startswith("[1/1]")]
    assert all(len(line.rstrip()) < columns for line in lines)
    assert re.search(r" 5/1200 4.0 s/task 80 min left", lines[-1]), lines[-1]
    assert ("artifacts left in all" in lines[-1]) == (columns > 80)


def test_before_there_is_an_estimate_the_bar_says_how_long_it_has_taken() -> None:
    stream, stages = Terminal(), networks(3)
    progress = Progress(stream)
    progress.begin(0, stages)
    progress.start(stages, 3)
    assert "[1/1] training 3 networks 0/3 0 s so far" in stream.getvalue()


def first_estimate(start: float, cost: float, workers: int, together: int, units: int) -> tuple[float, float]:
    """(estimated, true) seconds left when an estimate first exists: workers take `start` to come up, and hand in so
    many units together."""
    pace, handed_in = Pace(0.0), []
    for worker in range(workers):
        for turn in range(math.ceil(units / (workers * together))):
            at = start + (turn + 1) * together * cost * (1 + 0.02 * worker / workers)  # they do not end all at once
            handed_in += [at] * together
    ends = sorted(handed_in)[:units]
    for done, at in enumerate(ends, start=1):
        pace.ended(at)
        if done < units and (seconds := pace.left(at, units - done)) is not None:
            return seconds, ends[-1] - at
    return math.nan, math.nan


@pytest.mark.parametrize("start", [0.0, 10.0, 60.0])
@pytest.mark.parametrize("workers", [1, 4, 64])
@pytest.mark.parametrize("together", [1, 8])
def test_the_first_estimate_is_right_within_three_whatever_the_start_took(
    start: float, workers: int, together: int
) -> None:
    estimated, true = first_estimate(
        start, cost=2.0, workers=workers, together=together, units=100 * workers * together
    )
    assert true / 3 < estimated < true * 3


@pytest.mark.parametrize("start", [0.0, 10.0, 60.0])
@pytest.mark.parametrize("workers", [1, 4, 64])
@pytest.mark.parametrize("together", [1, 8])
@pytest.mark.parametrize("turns", [2, 3, 5, 10])
def test_a_round_of_few_hand_overs_gets_a_first_estimate_that_is_right_within_three_or_none(
    start: float, workers: int, together: int, turns: int
) -> None:
    estimated, true = first_estimate(
        start, cost=2.0, workers=workers, together=together, units=turns * workers * together
    )
    assert math.isnan(estimated) or true / 3 < estimated < true * 3


def test_a_task_that_fails_at_once_is_no_measure_of_the_others() -> None:
    pace = Pace(0.0)
    pace.ended(100.0)
    assert pace.seconds(100.0) is None
    pace.ended(200.0)
    assert pace.seconds(200.0) == 100.0
    stream, clock, stages = io.StringIO(), Clock(), networks(9)
    progress = Progress(stream, clock)
    progress.begin(0, stages)
    progress.start(stages, 9)
    for stage in stages[:3]:
        progress.outcome(WorkOutcome(stage, error="ValueError: at once"))
    clock.now = 100.0
    progress.outcome(WorkOutcome(stages[3]))
    assert stream.getvalue().splitlines()[-1] == "[1/1] training 9 networks: 4 done, 5 left"


def test_words_are_cut_where_they_say_something() -> None:
    assert shortened("training 3 networks", 19) == "training 3 networks"
    assert shortened("training 3 networks", 12) == "training 3.."
    assert shortened("training 3 networks", 4) == ""
    assert [rate(s, "task") for s in (12.34, 4.2, 0.4, 0.01)] == [
        "12 s/task",
        "4.2 s/task",
        "2.5 tasks/s",
        "100 tasks/s",
    ]


def test_words_follow_counts() -> None:
    assert doing([*networks(2), numbers(1)]) == "training 2 networks, building 1 numbers artifact"
    assert [duration(s) for s in (0.4, 65, 150, 7200)] == ["0 s", "65 s", "2 min", "2.0 h"]
