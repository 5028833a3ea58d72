"""A YAML 1.2 file as plain values, with the line of each; then what a command line changes in it."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raylab.config import yaml12
from raylab.config.yaml12 import Place, YAMLProblem
from raylab.engine.redaction import redacted

Problem = tuple[str, int, str]  # origin, line (0: none), what is wrong: in the order in which they are listed

COMMAND_LINE = "command line"
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
MOST_LISTED = 50  # problems; a file with more is another kind of file
LONGEST_LINE, KEPT_END = 1000, 200  # characters of a problem; what a remedy takes at its end
LONGEST_KEY = 60


class ConfigError(Exception):
    """Everything that is wrong with a config, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = [_printable(problem) for problem in problems]
        super().__init__("\n".join(self.problems))

    @classmethod
    def listing(cls, problems: Sequence[Problem]) -> ConfigError:
        listed = sorted(set(problems))
        lines = [f"{o}:{line}: {what}" if line else f"{o}: {what}" for o, line, what in listed[:MOST_LISTED]]
        return cls(lines if len(listed) <= MOST_LISTED else [*lines, f"... and {len(listed) - MOST_LISTED:,} more"])


@dataclass
class Document:
    """Plain values (lists are tuples), where each comes from, and which of them a command line has set."""

    origin: str
    values: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    overridden: set[Place] = field(default_factory=set)

    def problem(self, place: Place, what: str) -> Problem:
        """What is wrong at a place: of the command line where that set it, else of the nearest line of the file. A
        value that stands in neither is a default: it is wrong for what was said beside it."""
        what = f"{dotted(place)}: {what}" if place else what
        around = [place[:length] for length in range(len(place), 0, -1)]
        for here in around:
            beside = here != place or place not in self.lines
            if here in self.overridden or (beside and any(p[: len(here)] == here for p in self.overridden)):
                return COMMAND_LINE, 0, what
            if place in self.lines:
                break
        if any(here in self.overridden for here in around):
            return COMMAND_LINE, 0, what
        return self.origin, next((self.lines[here] for here in around if here in self.lines), 0), what


def read(
    source: Path | str,  # a file, or YAML text
    origin: str = "",  # what messages call it
) -> Document:
    """Raises ConfigError where there is no such file, or no YAML mapping in it."""
    origin = origin or (str(source) if isinstance(source, Path) else "config")
    try:
        values, lines = yaml12.parse(source if isinstance(source, str) else text_of(source))
    except YAMLProblem as error:
        where = f"{dotted(error.place)}: " if error.place else ""
        raise ConfigError.listing([(origin, error.line, f"{where}{error}")]) from error
    if values is None:
        raise ConfigError([f"{origin}: nothing in it; write `key: value` lines, or {{}} for the defaults alone"])
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, tuple) else "a single value"
        raise ConfigError([f"{origin}: must be `key: value` lines, got {kind}"])
    return Document(origin, values, lines)


def dotted(place: Place) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{_readable(key)}" for key in place)
    return text.removeprefix(".")


def _readable(key: str) -> str:
    """A key as it is, where that is one short word."""
    if key.isprintable() and 0 < len(key) <= LONGEST_KEY:
        return key
    return repr(key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}...")


def _printable(problem: str) -> str:
    """Nothing in it steers a terminal, each of its lines can be read, and no credential is cut in two."""
    said = redacted(problem).split("\n")
    lines = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in said]
    cut = LONGEST_LINE - KEPT_END
    return "\n".join(x if len(x) <= LONGEST_LINE else f"{x[:cut]} ... {x[-KEPT_END:]}" for x in lines)


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
        value = redacted(value)
        shown = value if len(value) <= LONGEST_KEY else f"{value[:LONGEST_KEY]}..."
        raise ValueError(f"{key}: {error.message}, got {shown!r}; {error.remedy}") from error


def did_you_mean(word: object, known: Sequence[str]) -> str | None:
    found = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {found[0]}?" if found else None


def parse(text: str) -> Any:
    """The value of a YAML 1.2 text. Raises YAMLProblem."""
    return yaml12.parse(text)[0]


def text_of(path: Path) -> str:
    """What a config file holds. Raises ConfigError for anything but a file of UTF-8 text that a config may be."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            inside = sorted(file.name for file in path.glob("*.y*ml"))[:3]
            remedy = f"name a file in it, like {path / inside[0]}" if inside else "name a file"
            raise ConfigError([f"{path}: must be a file, got a folder; {remedy}"])
        if not stat.S_ISREG(found.st_mode):  # to read a pipe may take for ever
            raise ConfigError([f"{path}: must be a file, got a pipe or device; write the config to a file"])
        if found.st_size > 4 * yaml12.MOST_CHARACTERS:  # bytes of a character in UTF-8, at most
            most = f"at most {yaml12.MOST_CHARACTERS:,} characters, got {found.st_size:,} bytes"
            raise ConfigError([f"{path}: longer than a config can be: {most}; give a config file, not data"])
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, sorted(p.name for p in path.parent.glob("*"))) or "check the path"
        raise ConfigError([f"{path}: no such file; {near}"]) from None
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is {error.object[error.start]:#x}"
        raise ConfigError([f"{path}: must be UTF-8 text, {byte}; save it as UTF-8"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); check the path"]) from error
    except ValueError as error:  # a NUL in its name
        raise ConfigError([f"{path}: no name of a file ({error}); check the path"]) from error
