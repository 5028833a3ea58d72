"""YAML 1.2 as plain values: text, numbers, true, false, null, lists and mappings whose keys are text.

A config is read from events, one after the other, so that whatever a file holds its size, depth and aliases are bounded
before anything is built: 306 bytes of aliases to aliases can stand for 10^8 values. What YAML has beyond that (tags,
several documents, merge keys, keys that are lists) is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError

Event = Any  # ruamel types no attribute of its events
Place = tuple[str | int, ...]  # keys and positions that lead to a value

# Far beyond any config (the longest of this repository has 3,000 characters), and read within two seconds.
MOST_CHARACTERS = 50_000
MOST_VALUES = 50_000  # aliases included, with the letters of what they repeat: each is written out again later
DEEPEST = 50  # levels of lists and mappings
WHOLE_NUMBERS = range(-(2**63), 2**63)

CORE = "tag:yaml.org,2002:"
MERGE = f"{CORE}merge"
PLAIN_TEXT = (f"{CORE}str", f"{CORE}timestamp", f"{CORE}value")  # 1.2 has neither timestamps nor `=`: they are text
NULLS = ("", "~", "null", "Null", "NULL")
NUMBERS = (f"{CORE}null", f"{CORE}bool", f"{CORE}int", f"{CORE}float")


class YAMLProblem(ValueError):
    """What is wrong with a text, where, and what to do."""

    def __init__(self, message: str, remedy: str, line: int = 0, place: Place = ()) -> None:
        super().__init__(f"{message}; {remedy}")
        self.message, self.remedy, self.line, self.place = message, remedy, line, place


def parse(text: str) -> tuple[Any, dict[Place, int]]:
    """Values (`1e-3` is a float, `no` is text, lists are tuples), and the line of each. Raises YAMLProblem."""
    if len(text) > MOST_CHARACTERS:
        raise YAMLProblem(
            f"longer than a config can be: at most {MOST_CHARACTERS:,} characters, got {len(text):,}",
            "give a config file, not data",
        )
    reader = _Reader(text)
    try:
        return reader.document(), reader.lines
    except ReaderError as error:
        character = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + 1
        raise YAMLProblem(f"character {character:#x} is not printable text", "remove it", line) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        said = " ".join(str(error.problem or error.context).split())
        remedy = "indent with spaces" if "'\\t'" in said else "look here and a line above; quote text"
        raise YAMLProblem(f"not YAML 1.2: {said}", remedy, line) from error
    except YAMLError as error:
        raise YAMLProblem(f"not YAML 1.2: {' '.join(str(error).split())}", "check it") from error


class _Reader:
    """One document, event by event."""

    def __init__(self, text: str) -> None:
        self._yaml = YAML(typ="safe", pure=True)
        self._events: Iterator[Event] = iter(self._yaml.parse(text))
        self._anchors: dict[str, Any] = {}
        self._num_values = 0
        self.lines: dict[Place, int] = {}

    def document(self) -> Any:
        next(self._events)  # the stream's start
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            return None
        self._check_start(start)
        value = self._value(next(self._events), ())
        next(self._events)  # the document's end
        if not isinstance(more := next(self._events), StreamEndEvent):
            _refuse(more, (), "a second document starts here", "a file holds one config; remove the `---` or `...`")
        return value

    def _check_start(self, start: Event) -> None:
        version = start.version if isinstance(start, DocumentStartEvent) else None
        if version is not None and tuple(version) != (1, 2):
            said = ".".join(map(str, version))
            _refuse(start, (), f"must be YAML 1.2, got %YAML {said}", "remove that line: 1.1 reads `no` as false")

    def _value(self, event: Event, place: Place) -> Any:
        self._count(event, place)
        if len(place) > DEEPEST:
            _refuse(event, place[:3], f"nested deeper than {DEEPEST} levels", "no config is; remove some")
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:  # not yet: of what is still being read, neither
                _refuse(
                    event, place, f"*{event.anchor} stands before or inside what it repeats", "write the value itself"
                )
            return self._repeated(self._anchors[event.anchor], event, place)
        if isinstance(event, MappingStartEvent):
            self._check_tag(event, place, f"{CORE}map")
            value: Any = self._mapping(place)
        elif isinstance(event, SequenceStartEvent):
            self._check_tag(event, place, f"{CORE}seq")
            value = self._sequence(place)
        else:
            value = self._scalar(event, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, place)
            line = _line(event)
            if key in found:
                first = self.lines.get((*place, key), 0)
                _refuse(event, (*place, key), f"given twice, in line {first} too", "keep one of them")
            self.lines[*place, key] = line
            found[key] = self._value(next(self._events), (*place, key))
        return found

    def _sequence(self, place: Place) -> tuple[Any, ...]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            here = (*place, len(found))
            self.lines[here] = _line(event)
            found.append(self._value(event, here))
        return tuple(found)

    def _key(self, event: Event, place: Place) -> str:
        if not isinstance(event, ScalarEvent):
            kind = "an alias" if isinstance(event, AliasEvent) else "a list or a mapping"
            _refuse(event, place, f"keys must be text, got {kind}", "write `key: value`")
        if self._tag(event) == MERGE:
            _refuse(event, place, "`<<` belongs to YAML 1.1", "write the keys out")
        key = self._scalar(event, place)
        if not isinstance(key, str):
            _refuse(
                event, place, f"keys must be text, got {event.value or 'nothing'}", "put it in quotes, or remove it"
            )
        return key

    def _scalar(self, event: Event, place: Place) -> Any:
        tag, text = self._tag(event), event.value
        if tag in NUMBERS:
            return self._number(tag, event, place)
        if tag not in (*PLAIN_TEXT, MERGE):
            self._check_tag(event, place, "")
        try:
            text.encode()
        except UnicodeEncodeError:
            _refuse(event, place, f"half of a surrogate pair is no character, got {text!r}", "write the character")
        return text

    def _number(self, tag: str, event: Event, place: Place) -> Any:
        if tag == f"{CORE}null" and event.value not in NULLS:  # the library reads any word as one
            _refuse(event, place, f"must be what its tag says, got {event.value!r}", "remove the tag")
        try:
            value = self._yaml.constructor.construct_object(ScalarNode(tag, event.value))
        except (ValueError, KeyError, IndexError):
            if event.tag is not None:
                _refuse(event, place, f"must be what its tag says, got {event.value!r}", "remove the tag")
            value = WHOLE_NUMBERS.stop  # Python reads no more than 4,300 digits
        if type(value) is int and value not in WHOLE_NUMBERS:
            shown = event.value if len(event.value) <= 24 else f"{event.value[:20]}... of {len(event.value):,} digits"
            _refuse(event, place, f"whole numbers lie within 64 bits, got {shown}", "write a smaller one")
        return value

    def _repeated(self, value: Any, event: Event, place: Place) -> Any:
        """A copy, so that a change in one place is none in the other."""
        if len(place) > DEEPEST:
            _refuse(event, place[:3], f"nested deeper than {DEEPEST} levels", "no config is; remove some")
        if isinstance(value, dict):
            self._count(event, place, sum(map(len, value)))
            return {key: self._counted(item, event, (*place, key)) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(self._counted(item, event, (*place, index)) for index, item in enumerate(value))
        if isinstance(value, str):
            self._count(event, place, len(value))
        return value

    def _counted(self, value: Any, event: Event, place: Place) -> Any:
        self._count(event, place)
        return self._repeated(value, event, place)

    def _count(self, event: Event, place: Place, size: int = 1) -> None:
        self._num_values += size
        if self._num_values > MOST_VALUES:
            _refuse(
                event,
                place[:3],
                f"aliases stand for more than {MOST_VALUES:,} values and letters",
                "write the values out",
            )

    def _tag(self, event: Event) -> str:
        if event.tag is not None and event.tag != "!":
            return str(event.tag)
        if event.tag == "!":
            return f"{CORE}str"
        return str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))

    def _check_tag(self, event: Event, place: Place, wanted: str) -> None:
        if event.tag is not None and event.tag not in ("!", wanted):
            said = str(event.tag).replace(CORE, "!!")
            _refuse(event, place, f"tags are not read, got {said}", "write the value without it")


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _refuse(event: Event, place: Place, message: str, remedy: str) -> NoReturn:
    raise YAMLProblem(message, remedy, _line(event), place)
