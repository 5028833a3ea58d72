"""Whatever a file or a command line says ends in a config whose plan can be made, or in an error that helps.

Hypothesis makes YAML at random and changes configs that are right at random places; the experiments, their default
configs and the files of `configs/` are those of the registry, so that a new experiment is tried without a word here.
The draws are the same on every run. To try others, and more:

    make fuzz        # or RAYLAB_FUZZ=20 python -m pytest tests/test_config_fuzz.py: twenty times as many
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from raylab import cli
from raylab.commands import options
from raylab.config import Config, ConfigError, as_dict, load, schema, to_yaml, yaml12
from raylab.config.document import LONGEST_LINE
from raylab.config.objections import reason
from raylab.config.yaml12 import Place
from raylab.engine.worker import Worker
from raylab.report.experiments import EXPERIMENTS, Name
from raylab.site import SiteFile
from raylab.suites import Reproduce, SuiteFile
from raylab.sweep.config import Sweep
from raylab.sweep.prepare import prepare

CONFIGS = Path(__file__).parent.parent / "configs"
MORE = int(os.environ.get("RAYLAB_FUZZ", "0"))
SECONDS = 5.0  # of CPU for one config; it takes hundredths of one


class Kind(NamedTuple):
    """A kind of config file."""

    config: type[Config]
    plan: Callable[[Any], Mapping[Any, Any]] | None  # None: what comes after reading it needs more than the config
    files: tuple[Path, ...]


def files(*folders: str) -> tuple[Path, ...]:
    return tuple(sorted(path for folder in folders for path in (CONFIGS / folder).rglob("*.yaml")))


KINDS = {name: Kind(one.config, one.plan, files(one.name)) for name, one in EXPERIMENTS.items()} | {
    "sweep": Kind(Sweep, partial(prepare, folder=CONFIGS), files("sweep")),
    "reproduce": Kind(Reproduce, None, ()),
    "suite": Kind(SuiteFile, None, files("reproduce")),
    "site": Kind(SiteFile, None, files("site")),
}


def few(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples * max(MORE, 1),
        derandomize=not MORE,
        database=None,
        deadline=None,  # the CPU's seconds are counted below: a loaded machine is none of its business
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


# -- what is tried

EXTREMES = [0, 1, -1, 2, 3, 255, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 10**30]
FLOATS = [0.0, -0.0, 0.5, 1.0, 1.5, 1e-320, 5e-324, 1e-12, 1e12, 1.8e308, float("inf"), float("-inf"), float("nan")]
WORDS = [
    "",
    "8/255",
    "1/0",
    "-1/2",
    "l2",
    "linf",
    "mlp",
    "digits",
    "mnist",
    "seefar",
    "small",
    "none",
    "no",
    "2026-01-01",
]
# What stands in the shipped configs, so that a value of one place turns up in another.
scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(EXTREMES), st.sampled_from(FLOATS), st.sampled_from(WORDS),
    st.integers(), st.floats(), st.text(max_size=8),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(max_size=8), deeper, max_size=3),
    max_leaves=6,
)
YAML_SIGNS = "{}[]:,-?&*!|>'\"%@`#=<~ \n\tabx019.\\\0\x1b\x85\u2028\ufeff"


def as_yaml(value: Any) -> str:
    """JSON, but for numbers that it has no words for; YAML reads it."""
    text = json.dumps(value)
    for word, said in (("NaN", ".nan"), ("-Infinity", "-.inf"), ("Infinity", ".inf")):
        text = text.replace(word, said)
    return text


def places(value: Any, place: Place = ()) -> list[Place]:
    """Every place in plain values, the whole of them first."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    return [place, *(inner for key, one in items for inner in places(one, (*place, key)))]


def plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def defaults(kind: Kind) -> list[dict[str, Any]]:
    """What may be changed: the default config, and the files that are shipped."""
    shipped = [plain(yaml12.parse(path.read_text())[0]) for path in kind.files]
    try:
        return [plain(as_dict(kind.config())), *shipped]
    except ValueError:  # a key is required
        return shipped


BASES = {name: defaults(kind) for name, kind in KINDS.items()}


@st.composite
def changed(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A config that is right, with one to three changes: another value, another's value, a key more or less."""
    whole = json.loads(json.dumps(draw(st.sampled_from(BASES[name]))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(whole)))
        inside: Any = whole
        for key in place[:-1]:
            inside = inside[key]
        here = inside[place[-1]] if place else whole
        what = draw(st.sampled_from(["replace", "replace", "replace", "borrow", "add", "remove"]))
        if what == "add" and isinstance(here, dict):
            here[draw(st.text(max_size=8) | st.sampled_from(["eps", "seeds", "name", "lr"]))] = draw(values)
        elif what == "add" and isinstance(here, list):
            here.append(draw(values))
        elif place and what == "remove":
            del inside[place[-1]]
        elif place:
            other = draw(st.sampled_from(places(whole))) if what == "borrow" else ()
            borrowed: Any = whole
            for key in other:
                borrowed = borrowed[key]
            inside[place[-1]] = json.loads(json.dumps(borrowed)) if other else draw(values)
    return whole


@st.composite
def changes(draw: st.DrawFn, name: str) -> list[str]:
    """What a command line may change in a default config."""
    known = [p for p in places(BASES[name][0]) if p and all(isinstance(key, str) for key in p)]
    count = draw(st.integers(1, 3))
    return [f"{'.'.join(map(str, draw(st.sampled_from(known))))}={as_yaml(draw(values))}" for _ in range(count)]


# -- what must come of it


def tried(name: str, text: str, overrides: list[str] | None = None) -> None:
    kind = KINDS[name]
    started = time.process_time()
    try:
        config = load(kind.config, text, overrides or (), "x.yaml")
    except ConfigError as error:
        for line in error.problems:
            helps(line)
    else:
        if kind.plan is not None and small(config):
            try:
                assert kind.plan(config)
            except ConfigError as error:  # of a sweep: what is wrong with a point of its space
                for line in error.problems:
                    readable(line)
            except ValueError as error:  # absent data, a network that cannot take the images
                helps(f"x.yaml: {reason(error)}")
        assert as_dict(load(kind.config, to_yaml(config))) == as_dict(config)
    assert time.process_time() - started < SECONDS


def small(config: Config) -> bool:
    """Plans grow with the seeds and cases that are asked for."""
    asked = as_dict(config)
    counts = [len(asked[key]) for key in asked if key.endswith("seeds") and isinstance(asked[key], list)]
    return max([1, *counts, *(asked[key] for key in ("without", "having") if key in asked)]) <= 100


def helps(line: str) -> None:
    """As `readable`, and it begins with where."""
    assert line.startswith(("x.yaml:", "command line: ", "... and ")), line
    readable(line)


def readable(line: str) -> None:
    """One line of plain words."""
    assert line.isprintable(), line
    assert len(line) <= LONGEST_LINE + len(" ... "), line
    for foreign in (
        "pydantic",
        "validation error",
        "Input should",
        "should ",
        "type=",
        "http",
        "object at 0x",
        "Traceback",
    ):
        assert foreign not in line, line


@pytest.mark.parametrize("name", KINDS)
def test_a_config_with_changes_at_random_places_is_planned_or_refused_with_help(name: str) -> None:
    @few(12)
    @given(changed(name))
    def holds(config: dict[str, Any]) -> None:
        tried(name, as_yaml(config))

    holds()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("suite", "sweep")])
def test_random_changes_on_the_command_line_are_planned_or_refused_with_help(name: str) -> None:
    @few(25)
    @given(changes(name))
    def holds(given: list[str]) -> None:
        tried(name, "{}", given)

    holds()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_job_that_is_asked_for_anything_plans_or_refuses_it_and_computes_nothing(
    name: Name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a command line, over configs that are shipped too."""

    def started(*_: object) -> None:
        raise AssertionError("something was computed")

    for work in ("run_task", "run_shard", "compute"):
        monkeypatch.setattr(Worker, work, started)
    site = tmp_path / "site.yaml"
    site.write_text(f"{{backend: inline, tracking: none, store: '{tmp_path / 'store'}'}}")
    sources: list[list[str]] = [[], *([str(path)] for path in KINDS[name].files)]

    @few(4)
    @given(st.sampled_from(sources), changes(name))
    def holds(source: list[str], given: list[str]) -> None:
        small_ones = [one for one in given if not one.partition("=")[0].endswith(("seeds", "without", "having"))]
        code: object = 0
        try:
            cli.run(EXPERIMENTS[name], None, [*source, *small_ones, "--site", str(site), "--dry-run"])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        assert (code == 0 and said.out) or (code == cli.BAD_INPUT and said.err)
        for line in said.err.splitlines():
            readable(line)
        assert not (tmp_path / "store").exists()

    holds()


WRONG = [{"a": [1]}, {}, [[]], [], None, True, -1, 2**63 - 1, 0.0, 1.8e308, float("nan"), "", "x" * 99, "8/255"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:16])
def test_a_config_whose_every_key_holds_the_same_is_planned_or_refused_with_help(name: str, value: Any) -> None:
    tried(name, as_yaml(everywhere(KINDS[name].config, value)))


def everywhere(config: type[BaseModel], value: Any) -> dict[str, Any]:
    """One value in all keys of a config and of its sections, those too that no file has."""
    return {
        name: everywhere(sections[0], value) if (sections := schema.models(field.annotation)) else value
        for name, field in config.model_fields.items()
    }


@few(150)
@given(st.sampled_from(sorted(KINDS)), st.text(YAML_SIGNS, max_size=60) | st.text(max_size=40))
def test_any_text_is_a_config_or_refused_with_help(name: str, text: str) -> None:
    tried(name, text)


@few(100)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.text(max_size=8), values, max_size=4) | values)
def test_any_value_of_yaml_is_a_config_or_refused_with_help(name: str, value: Any) -> None:
    tried(name, as_yaml(value))


@few(100)
@given(
    st.sampled_from(sorted(KINDS)), st.lists(st.text(max_size=20) | st.from_regex(r"[a-z.]{1,12}=.{0,12}"), max_size=3)
)
def test_any_words_of_a_command_line_are_changes_or_refused_with_help(name: str, words: list[str]) -> None:
    tried(name, "{}", words)


LONG = [letter * length for letter in "x/" for length in (255, 300, 5000)]


@few(150)
@given(
    st.sampled_from([*EXPERIMENTS, "sweep", "reproduce"]),
    st.lists(
        st.text(max_size=20)
        | st.from_regex(r"-{0,2}[a-z.]{1,12}=?.{0,12}")
        | st.sampled_from([*LONG, "--site", "--dry-run", "-h", "~", "~nobody-there/x", ".", "/", "tiny", "attack"]),
        max_size=4,
    ),
)
def test_any_words_of_a_command_line_are_read_or_refused_in_lines_that_can_be_read(name: str, words: list[str]) -> None:
    try:
        arguments = options.parsed(KINDS[name].config, None, words)
        options.loaded(KINDS[name].config, arguments.settings, arguments.site)
    except ConfigError as error:
        for line in error.problems:
            readable(line)
    except SystemExit as ended:
        if ended.code:  # not --help or --keys
            raise
