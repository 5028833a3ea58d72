"""A YAML 1.2 file as plain values, with the line of each; then what a command line changes in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

Place = tuple[str | int, ...]  # keys and positions that lead to a value
Problem = tuple[str, int, str]  # origin, line (0: none), what is wrong: in the order in which they are listed

COMMAND_LINE = "command line"
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class ConfigError(Exception):
    """Everything that is wrong with a config, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))

    @classmethod
    def listing(cls, problems: Sequence[Problem]) -> ConfigError:
        listed = sorted(set(problems))
        return cls([f"{o}:{line}: {what}" if line else f"{o}: {what}" for o, line, what in listed])


@dataclass
class Document:
    """Plain values (lists are tuples), where each comes from, and which of them a command line has set."""

    origin: str
    values: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    overridden: set[Place] = field(default_factory=set)

    def problem(self, place: Place, what: str) -> Problem:
        """What is wrong at a place: of the command line where that set it, else of the nearest line of the file."""
        what = f"{dotted(place)}: {what}" if place else what
        around = [place[:length] for length in range(len(place), 0, -1)]
        below = place and place not in self.lines and any(p[: len(place)] == place for p in self.overridden)
        if below or any(place in self.overridden for place in around):
            return COMMAND_LINE, 0, what
        return self.origin, next((self.lines[place] for place in around if place in self.lines), 0), what


def read(
    source: Path | str,  # a file, or YAML text
    origin: str = "",  # what messages call it
) -> Document:
    """Raises ConfigError where there is no such file, or no YAML mapping in it."""
    origin = origin or (str(source) if isinstance(source, Path) else "config")
    text = source if isinstance(source, str) else _text(source)
    try:
        values, lines = parse(text), dict[Place, int]()
        if isinstance(values, dict):
            _note_lines(_yaml().compose(text), (), lines)
    except YAMLProblem as error:
        raise ConfigError.listing([(origin, error.line, f"not YAML 1.2: {error}")]) from error
    if values is None:
        raise ConfigError([f"{origin}: nothing in it; write `key: value` lines, or {{}} for the defaults alone"])
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, tuple) else "a single value"
        raise ConfigError([f"{origin}: must be `key: value` lines, got {kind}"])
    return Document(origin, values, lines)


class YAMLProblem(ValueError):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str) -> Any:
    """Plain values of YAML 1.2 (`1e-3` is a float, `no` is text), with tuples for lists. Raises YAMLProblem."""
    try:
        return _frozen(_yaml().load(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YAMLProblem(str(error.problem or error.context), line) from error
    except (YAMLError, ValueError) as error:
        raise YAMLProblem(" ".join(str(error).split()), 0) from error
    except RecursionError as error:
        raise YAMLProblem("nested without end", 0) from error


def dotted(place: Place) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return text.removeprefix(".")


def override(text: str) -> tuple[Place, Any]:
    """Place and value of `key.path=value`, whose value is a YAML scalar or flow value. Raises ValueError."""
    key, sign, value = text.partition("=")
    if not sign or not KEY.fullmatch(key):
        raise ValueError(f"must be key.path=value, got {text!r}; for example attack.eps=0.25")
    place: Place = tuple(key.split("."))
    if not value.strip():
        raise ValueError(f"{key}: no value; write {key}=null for none, or {key}=\"''\" for empty text")
    try:
        return place, parse(value)
    except YAMLProblem as error:
        raise ValueError(f"{key}: not a value of YAML 1.2: {error}, got {value!r}") from error


def did_you_mean(word: object, known: Sequence[str]) -> str | None:
    found = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {found[0]}?" if found else None


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)  # the pure one: YAML 1.2, and a key given twice is an error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, sorted(p.name for p in path.parent.glob("*"))) or "check the path"
        raise ConfigError([f"{path}: no such file; {near}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text, byte {error.start} is {error.object[error.start]:#x}"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from error


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def _note_lines(node: Node, place: Place, lines: dict[Place, int]) -> None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            lines[*place, key.value] = key.start_mark.line + 1
            _note_lines(value, (*place, key.value), lines)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            lines[*place, index] = item.start_mark.line + 1
            _note_lines(item, (*place, index), lines)
