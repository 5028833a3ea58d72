from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from toy import faulty, numbers, squares

from raylab.artifact import Artifact
from raylab.backend import Outcome
from raylab.progress import Progress, doing, duration
from raylab.runner import BuildFailed, InlineBackend, build
from raylab.stage import Stage
from raylab.store import Store


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def networks(count: int) -> list[Stage]:
    return [Stage("network", 1, i, {}, numbers(1).body, f"train {i}") for i in range(count)]


def an_artifact(tmp_path: Path) -> Artifact:
    return Artifact(Store(str(tmp_path)), "", {})


def test_a_log_gets_a_line_a_round_and_calm_ones_between(tmp_path: Path) -> None:
    stream, clock, stages = io.StringIO(), Clock(), networks(36)
    progress = Progress(stream, clock)
    progress.begin(2, stages)
    progress.start(stages, 36)
    for stage in stages:  # one every 4 s
        clock.now += 4.0
        progress.outcome(Outcome(stage))
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
        progress.outcome(Outcome(stage))
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
    Progress(stream).outcome(Outcome(stage, 7, error="first\n" + "x" * 1000))
    (line,) = stream.getvalue().splitlines()
    assert line.startswith(f"failed: {stage.label}, shard 7: first xxx")
    assert len(line) < 400


def test_a_terminal_gets_one_bar_a_round_with_what_is_left_in_all(tmp_path: Path) -> None:
    stream, stages = Terminal(), networks(3)
    progress = Progress(stream)
    progress.begin(0, stages)
    progress.start(stages, 3)
    for stage in stages:
        progress.outcome(Outcome(stage))
        progress.built(an_artifact(tmp_path))
    progress.end()
    text = stream.getvalue()
    assert "[1/1] training 3 networks: 100%" in text
    assert "3/3" in text
    assert "3 artifacts left in all" in text
    assert "0 artifacts left in all" in text


def test_words_follow_counts() -> None:
    assert doing([*networks(2), numbers(1)]) == "training 2 networks, building 1 numbers artifact"
    assert [duration(s) for s in (0.4, 65, 150, 7200)] == ["0 s", "65 s", "2 min", "2.0 h"]
