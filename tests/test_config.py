from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, model_validator

from raylab.config import Config, ConfigError, as_dict, load, to_yaml, yaml12
from raylab.engine.identity import canonical_json


class Attack(Config):
    norm: Literal["l2", "linf"] = "l2"
    eps: Annotated[float, Field(gt=0, le=10)] = 0.5
    steps: Annotated[int, Field(ge=1)] = 10
    step_size: float | None = None

    @model_validator(mode="after")
    def _reaches(self) -> Attack:
        if self.step_size is not None and self.step_size * self.steps < self.eps:
            raise ValueError(f"step_size * steps must reach eps, got {self.step_size} * {self.steps} < {self.eps}")
        return self

    @model_validator(mode="after")
    def _few(self) -> Attack:
        if self.norm == "linf" and self.steps > 100:
            raise ValueError(f"linf needs no more than 100 steps, got {self.steps}")
        return self


class Digits(Config):
    name: Literal["digits"] = "digits"
    rows: int = 100


class Field28(Config):
    name: Literal["mnist", "fashion_mnist"]
    root: str | None = Field(default=None, exclude=True)
    mean: float | tuple[float, ...] = 0.5


class Training(Config):
    preset: str | None = Field(default=None, exclude=True)
    epochs: Annotated[int, Field(ge=0)] = 12
    milestones: tuple[int, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("preset") == "long":
            return {"epochs": 150, "milestones": (50, 100), **given}
        return given

    @model_validator(mode="after")
    def _order(self) -> Training:
        if any(m >= self.epochs for m in self.milestones):
            raise ValueError(f"milestones must lie before epoch {self.epochs}, got {list(self.milestones)}")
        return self


def _known(name: str) -> str:
    if name not in ("mlp", "cnn"):
        raise ValueError(f"no network of that name, got {name!r}")
    return name


Network = Annotated[str, AfterValidator(_known)]


class Study(Config):
    title: str = "digits"
    data: Annotated[Digits | Field28, Field(discriminator="name")] = Digits()
    sources: Annotated[tuple[Network, ...], Field(min_length=1)] = ("mlp",)
    seeds: tuple[int, ...] = (0, 1)
    attack: Attack = Attack(eps=1.0, steps=20)  # not the defaults of Attack itself
    others: tuple[Attack, ...] = ()
    train: Training = Training()
    student: Training | None = None
    lr: dict[str, Annotated[float, Field(gt=0)]] = Field(default={"mlp": 0.1})
    quick: bool = False

    @model_validator(mode="after")
    def _enough(self) -> Study:
        if self.quick and len(self.seeds) > 2:
            raise ValueError(f"quick studies have at most 2 seeds, got {len(self.seeds)}")
        return self


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(Study, text, overrides, "x.yaml")
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# -- what is taken


def test_yaml_is_that_of_version_1_2() -> None:
    study = load(Study, "title: no\nattack: {eps: 1e-3}\nlr: {on: 1}")
    assert study.title == "no"
    assert study.attack.eps == 1e-3
    assert study.lr == {"on": 1.0}


def test_lists_become_tuples_at_every_depth() -> None:
    study = load(Study, "seeds: [3, 1]\nothers: [{steps: 3}]\ndata: {name: mnist, mean: [1, 0.5]}")
    assert study.seeds == (3, 1)
    assert study.others == (Attack(steps=3),)
    assert study.data == Field28(name="mnist", mean=(1.0, 0.5))


def test_a_whole_number_is_a_number() -> None:
    value = load(Study, "attack: {eps: 2}").attack.eps
    assert (value, type(value)) == (2.0, float)


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("title: über\n", encoding="utf-8")
    assert load(Study, path).title == "über"


# -- nothing is coerced


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attack: {steps: true}", "attack.steps: must be a whole number, got true; the default is 10"),
        ("attack: {steps: '50'}", 'attack.steps: must be a whole number, got "50"; remove the quotes'),
        ("attack: {steps: 50.0}", "attack.steps: must be a whole number, got 50.0; write 50"),
        ("attack: {steps: null}", "attack.steps: must be a whole number, got null; the default is 10"),
        ("attack: {eps: true}", "attack.eps: must be a number, got true; the default is 0.5"),
        ("attack: {eps: '0.5'}", 'attack.eps: must be a number, got "0.5"; remove the quotes'),
        ("attack: {eps: .nan}", "attack.eps: must be a finite number, got NaN; the default is 0.5"),
        ("attack: {eps: .inf}", "attack.eps: must be a finite number, got Infinity; the default is 0.5"),
        ("attack: {eps: 0}", "attack.eps: must be greater than 0, got 0; the default is 0.5"),
        ("attack: {step_size: .nan}", "attack.step_size: must be a finite number, got NaN"),
        ("attack: {norm: l3}", "attack.norm: must be 'l2' or 'linf', got \"l3\"; the default is \"l2\""),
        ("attack: {norm: lnf}", "attack.norm: must be 'l2' or 'linf', got \"lnf\"; did you mean linf?"),
        ("attack: 3", "attack: must be `key: value` lines, got 3; its keys are norm, eps, steps, step_size"),
        ("quick: yes", 'quick: must be true or false, got "yes"; write true'),
        ("quick: 1", "quick: must be true or false, got 1; the default is false"),
        ("title: 3", 'title: must be text, got 3; write "3"'),
        ("seeds: 3", "seeds: must be a list, got 3; write [3]"),
        ("sources: mlp", 'sources: must be a list, got "mlp"; write [mlp]'),
        ("seeds: [0, '1']", 'seeds[1]: must be a whole number, got "1"; remove the quotes'),
        ("sources: [mlp, rnn]", "sources[1]: no network of that name, got 'rnn'"),
        ("lr: {mlp: -1}", "lr.mlp: must be greater than 0, got -1"),
        ("others: [{}, {eps: -1}]", "others[1].eps: must be greater than 0, got -1; the default is 0.5"),
        ("data: {name: mnits}",
         'data.name: must be one of digits, mnist, fashion_mnist, got "mnits"; did you mean mnist?'),
        ("data: {rows: 3}", "data.name: required, got nothing; one of digits, mnist, fashion_mnist"),
        ("data: {name: digits, rows: x}", 'data.rows: must be a whole number, got "x"; the default is 100'),
        ("data: [1]", "data: must be `key: value` lines, got [1]"),
        ("student: {epochs: -1}", "student.epochs: must be greater than or equal to 0, got -1; the default is 12"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_rule_and_remedy(text: str, expected: str) -> None:
    assert problems(text) == [f"x.yaml:1: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atack: {}", "atack: unknown key; did you mean attack?"),
        ("attack: {epz: 1}", "attack.epz: unknown key; did you mean eps?"),
        ("epochs: 3", "epochs: unknown key; did you mean train.epochs?"),
        ("attack: {x: 1}", "attack.x: unknown key; known here: norm, eps, steps, step_size"),
        ("data: {name: digits, mean: 1}", "data.mean: unknown key; known here: name, rows"),
        ("data: {name: mnist, rooot: x}", "data.rooot: unknown key; did you mean root?"),
    ],
)
def test_an_unknown_key_comes_with_the_one_that_was_meant(text: str, expected: str) -> None:
    assert problems(text) == [f"x.yaml:1: {expected}"]


# -- every problem at once


def test_every_problem_is_listed_at_once_in_the_order_of_the_file() -> None:
    text = """\
quick: true
seeds: [0, 1, 2]
attack: {eps: -1, step_size: 0.1, norm: linf, steps: 200}
titel: x
train:
  preset: long
  epochs: 60
others:
  - {steps: '3'}
  - {step_size: 0.01}
data: {name: mnist, mean: x, rows: 3}
"""
    assert problems(text, "student.epochs=-1", "oops") == [
        "command line: must be key.path=value, got 'oops'; for example attack.eps=0.25",
        "command line: student.epochs: must be greater than or equal to 0, got -1; the default is 12",
        "x.yaml: quick studies have at most 2 seeds, got 3",
        "x.yaml:3: attack.eps: must be greater than 0, got -1; the default is 0.5",
        "x.yaml:3: attack: linf needs no more than 100 steps, got 200",
        "x.yaml:4: titel: unknown key; did you mean title?",
        "x.yaml:5: train: milestones must lie before epoch 60, got [50, 100]",
        'x.yaml:9: others[0].steps: must be a whole number, got "3"; remove the quotes',
        "x.yaml:10: others[1]: step_size * steps must reach eps, got 0.01 * 10 < 0.5",
        'x.yaml:11: data.mean: must be a number or a list, got "x"; the default is 0.5',
        "x.yaml:11: data.rows: unknown key; known here: name, root, mean",
    ]


def test_two_rules_of_one_model_are_both_heard() -> None:
    assert problems("attack: {norm: linf, steps: 101, step_size: 1e-3}") == [
        "x.yaml:1: attack: linf needs no more than 100 steps, got 101",
        "x.yaml:1: attack: step_size * steps must reach eps, got 0.001 * 101 < 0.5",
    ]


def test_a_rule_that_reads_a_wrong_field_is_not_guessed_at() -> None:
    # With the default eps 0.5 in its place, `step_size * steps must reach eps` would fail too: but nobody wrote 0.5.
    assert problems("attack: {eps: x, step_size: 0.01}") == [
        'x.yaml:1: attack.eps: must be a number, got "x"; the default is 0.5'
    ]


def test_an_absent_required_key_is_named() -> None:
    class Needy(Config):
        eps: float
        name: str = "x"

    with pytest.raises(ConfigError, match=r"^x\.yaml: eps: required, got nothing; add it$"):
        load(Needy, "name: a", origin="x.yaml")


# -- files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml: nothing in it; write `key: value` lines, or {} for the defaults alone"),
        ("# only a comment\n", "x.yaml: nothing in it; write `key: value` lines, or {} for the defaults alone"),
        ("- 1\n- 2", "x.yaml: must be `key: value` lines, got a list"),
        ("digits", "x.yaml: must be `key: value` lines, got a single value"),
        ("title: a\n\ntitle: b", "x.yaml:3: title: given twice, in line 1 too; keep one of them"),
        ("attack: {eps: 1", "x.yaml:1: not YAML 1.2: expected ',' or '}', but got '<stream end>'; look here"),
        (
            "title: a\n\tquick: true",
            "x.yaml:2: not YAML 1.2: found character '\\t' that cannot start any token; indent",
        ),
        ("%YAML 1.1\n---\ntitle: no", "x.yaml:2: must be YAML 1.2, got %YAML 1.1; remove that line"),
        ("title: a\n---\ntitle: b", "x.yaml:2: a second document starts here; a file holds one config; remove the"),
        ("title: !!python/object:os.system x", "x.yaml:1: title: tags are not read, got !!python/object:os.system; "),
        ("title: !own x", "x.yaml:1: title: tags are not read, got !own; write the value without it"),
        ("attack: {steps: !!int x}", "x.yaml:1: attack.steps: must be what its tag says, got 'x'; remove the tag"),
        ("quick: !!bool x", "x.yaml:1: quick: must be what its tag says, got 'x'; remove the tag"),
        ("title: !!binary aGVsbG8=", "x.yaml:1: title: tags are not read, got !!binary; write the value without it"),
        ("? [1, 2]\n: 3", "x.yaml:1: keys must be text, got a list or a mapping; write `key: value`"),
        ("attack:\n  ? {a: 1}\n  : 3", "x.yaml:2: attack: keys must be text, got a list or a mapping"),
        ("1: x", "x.yaml:1: keys must be text, got 1; put it in quotes, or remove it"),
        ("lr: {~: 0.1}", "x.yaml:1: lr: keys must be text, got ~; put it in quotes, or remove it"),
        ("&k title: x\n*k : y", "x.yaml:2: keys must be text, got an alias; write `key: value`"),
        ("attack: {<<: {eps: 1}}", "x.yaml:1: attack: `<<` belongs to YAML 1.1; write the keys out"),
        ("seeds: &loop [*loop]", "x.yaml:1: seeds[0]: *loop stands before or inside what it repeats; write the value"),
        ("title: !!null foo", "x.yaml:1: title: must be what its tag says, got 'foo'; remove the tag"),
        ("seeds: *none", "x.yaml:1: seeds: *none stands before or inside what it repeats; write the value itself"),
        ("title: a\0b", "x.yaml:1: character 0x0 is not printable text; remove it"),
        ("title: x\nquick: \x1b[31m", "x.yaml:2: character 0x1b is not printable text; remove it"),
        ('title: "\\ud800"', "x.yaml:1: title: half of a surrogate pair is no character, got '\\ud800'; write the"),
        (
            f"seeds: [{'9' * 5000}]",
            "x.yaml:1: seeds[0]: whole numbers lie within 64 bits, got 99999999999999999999... of 5",
        ),
        (
            f"seeds: [0x{'f' * 5000}]",
            "x.yaml:1: seeds[0]: whole numbers lie within 64 bits, got 0xffffffffffffffffff...",
        ),
        (
            "seeds: [-9223372036854775809]",
            "x.yaml:1: seeds[0]: whole numbers lie within 64 bits, got -92233720368547758",
        ),
        ("a: " + "[" * 5000 + "]" * 5000, "x.yaml:1: a[0][0]: nested deeper than 50 levels; no config is; remove some"),
        ("[" * 20_000, "x.yaml:1: [0][0][0]: nested deeper than 50 levels; no config is; remove some"),
        (
            "title: " + "x" * 60_000,
            "x.yaml: longer than a config can be: at most 50,000 characters, got 60,007; give a",
        ),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused(text: str, expected: str) -> None:
    started = time.process_time()
    (problem,) = problems(text)
    assert problem.startswith(expected)
    assert time.process_time() - started < 4.0  # [[[[... to the end of the stack took ten


def aliases(levels: int) -> str:
    """Each level repeats the one above nine times: 306 bytes at eight levels, 9 ** 9 values."""
    names = "abcdefghij"[: levels + 1]
    lines = [f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]" for above, name in pairwise(names)]
    return "\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *lines])


def test_what_aliases_stand_for_is_bounded() -> None:
    assert len(aliases(8)) < 400
    for levels in (4, 8):
        (problem,) = problems(aliases(levels))
        assert problem.endswith("aliases stand for more than 50,000 values and letters; write the values out")
    nested = "a: &a [1]\n" + "".join(f"a{number}: &a [*a]\n" for number in range(1000))
    assert "nested deeper than 50 levels" in problems(nested)[0]


@pytest.mark.parametrize("long", ["'{text}'", "{{'{text}': 1}}"], ids=["a text", "a key"])
def test_the_letters_that_aliases_stand_for_are_bounded(long: str) -> None:
    repeated = f"a: &a {long.format(text='x' * 1_000)}\nb: [{','.join(['*a'] * 7_000)}]\n"
    began = time.process_time()
    (problem,) = problems(repeated)
    assert problem.endswith("aliases stand for more than 50,000 values and letters; write the values out")
    assert time.process_time() - began < 3
    assert yaml12.parse("a: &a 'a title'\nb: [*a, *a]")[0]["b"] == ("a title", "a title")


def test_a_change_in_what_an_alias_repeats_is_no_change_in_what_it_repeated() -> None:
    study = load(Study, "train: &same {epochs: 3}\nstudent: *same", ["student.epochs=5"])
    assert (study.train.epochs, study.student) == (3, Training(epochs=5))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{number}: 1\n" for number in range(3000)),
        "attack:\n" + "".join(f"  k{number}: 1\n" for number in range(3000)),
        f"sources: [{', '.join(f'net{number}' for number in range(3000))}]",
        f"seeds: [{', '.join(['x'] * 3000)}]",
        f"lr: {{{', '.join(f'n{number}: -1' for number in range(3000))}}}",
    ],
)
def test_a_file_with_thousands_of_problems_lists_the_first_and_counts_the_rest(text: str) -> None:
    started = time.process_time()
    *first, more = problems(text)
    assert len(first) == 50
    assert re.fullmatch(r"\.\.\. and [0-9,]+ more", more)
    assert time.process_time() - started < 5.0  # it took a minute, most of it to find out which key may have been meant


def test_wrong_changes_are_listed_beside_a_file_that_cannot_be_read() -> None:
    assert len(problems("[", "oops", "title=[")) == 3


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("{}")
    with pytest.raises(ConfigError, match=r"digit\.yaml: no such file; did you mean digits\.yaml\?"):
        load(Study, tmp_path / "digit.yaml")


def test_a_folder_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a file, got a folder; name a file"):
        load(Study, tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"title: \xff")
    with pytest.raises(ConfigError, match=r"got a folder; name a file in it, like .*x\.yaml"):
        load(Study, tmp_path)
    with pytest.raises(ConfigError, match="must be UTF-8 text, byte 7 is 0xff; save it"):
        load(Study, tmp_path / "x.yaml")


def test_what_is_no_file_is_refused_without_being_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")  # nobody will ever write into it
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "long.yaml").write_text("x" * 1_000_000)
    for name, expected in {
        "pipe.yaml": "must be a file, got a pipe or device; write the config to a file",
        "loop.yaml": "cannot be read (Too many levels of symbolic links); check the path",
        "long.yaml": "longer than a config can be: at most 50,000 characters, got 1,000,000 bytes; give a config",
        "x" * 300: "cannot be read (File name too long); check the path",
        "x\0.yaml": "no name of a file (",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load(Study, tmp_path / name)
        assert expected in str(caught.value)


def test_no_message_steers_a_terminal() -> None:
    (problem,) = problems('"a\\e[31m\\n\\u2028b": 1')
    assert problem.isprintable()


# -- changes from the command line


def test_a_change_is_read_as_yaml_and_wins_over_the_file() -> None:
    study = load(
        Study,
        "seeds: [5]\nattack: {eps: 3, steps: 7}",
        ["seeds=[0, 1]", "attack.eps=2.5e-1", "title=a=b", "sources=[cnn]", "student={epochs: 3}", "attack.eps=0.75"],
    )
    assert study.seeds == (0, 1)
    assert study.attack == Attack(eps=0.75, steps=7)  # the last one wins
    assert (study.title, study.sources, study.student) == ("a=b", ("cnn",), Training(epochs=3))


def test_a_change_in_a_section_that_the_file_leaves_out_keeps_the_rest_of_its_default() -> None:
    assert load(Study, "{}", ["attack.eps=2"]).attack == Attack(eps=2.0, steps=20)
    assert load(Study, "{}", ["lr.cnn=0.5"]).lr == {"mlp": 0.1, "cnn": 0.5}
    assert load(Study, "{}", ["data.rows=3"]).data == Digits(rows=3)
    assert load(Study, "{}", ["student.epochs=3"]).student == Training(epochs=3)


def test_a_change_of_a_tag_changes_the_model() -> None:
    assert load(Study, "{}", ["data.name=mnist"]).data == Field28(name="mnist")
    assert load(Study, "data: {name: mnist}", ["data.name=digits"]).data == Digits()

    class Few(Config):
        data: Annotated[Digits | Field28, Field(discriminator="name")] = Digits(rows=7)

    assert load(Few, "{}", ["data.name=mnist"]).data == Field28(name="mnist")  # which has no rows


def test_a_change_starts_from_what_a_default_was_written_as_not_from_all_it_became() -> None:
    class Long(Config):
        train: Training = Training(preset="long", epochs=200)

    assert load(Long, "{}", ["train.epochs=300"]).train == Training(preset="long", epochs=300, milestones=(50, 100))
    assert load(Long, "{}", ["train.preset=null"]).train == Training(epochs=200)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("attack.epz=1", "attack.epz: unknown key; did you mean eps?"),
        ("atack.eps=1", "atack: unknown key; did you mean attack?"),
        ("attack.eps=-1", "attack.eps: must be greater than 0, got -1; the default is 0.5"),
        ("seeds=1", "seeds: must be a list, got 1; write [1]"),
        ("title.x=1", "title.x: title has no keys of its own; set it whole, title=..."),
        ("seeds.0=1", "must be key.path=value, got 'seeds.0=1'; for example attack.eps=0.25"),
        ("=1", "must be key.path=value, got '=1'; for example attack.eps=0.25"),
        ("attack.=1", "must be key.path=value, got 'attack.=1'; for example attack.eps=0.25"),
        ("title=", "title: no value; write title=null for none, or title=\"''\" for empty text"),
        (
            "title=[",
            "title: not YAML 1.2: expected the node content, but found '<stream end>', got '['; look here and a "
            "line above; quote text",
        ),
    ],
)
def test_a_wrong_change_is_named_as_one(change: str, expected: str) -> None:
    (problem,) = problems("title: x", change)
    assert problem == f"command line: {expected}"


# -- and back


def test_a_config_as_yaml_reads_back_as_itself() -> None:
    words = ["no", "1e-3", "true", "null", "~", "", "2020-01-01", "0x10", "a: b", "é\n", "- x", "=", "1_0", "12:30:00"]
    for word in words:
        study = Study(title=word, lr={word: 0.1})
        assert load(Study, to_yaml(study)) == study
    for eps in (1e-5, 0.1, 1 / 3, 2.3e-308, 9.999999999999998):
        study = Study(attack=Attack(eps=eps), others=(Attack(), Attack(norm="linf")))
        again = load(Study, to_yaml(study))
        assert again == study
        assert canonical_json(again) == canonical_json(study)


def test_what_is_shown_are_plain_values_in_the_order_of_the_fields_without_where() -> None:
    study = Study(data=Field28(name="mnist", root="/here"))
    shown = as_dict(study)
    assert list(shown) == list(Study.model_fields)
    assert shown["data"] == {"name": "mnist", "mean": 0.5}
    assert shown["seeds"] == [0, 1]
    assert "/here" not in to_yaml(study)
    assert to_yaml(study).startswith("title: digits\ndata: {name: mnist, mean: 0.5}\nsources: [mlp]\nseeds: [0, 1]\n")


def test_configs_are_frozen_and_strict_when_made_in_python_too() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Attack().eps = 1.0  # type: ignore[misc]
    for wrong in ({"eps": "1"}, {"steps": True}, {"epz": 1}, {"eps": float("nan")}):
        with pytest.raises(ValueError, match="1 validation error"):
            Attack(**wrong)


def test_a_list_of_wrong_items_is_not_called_empty() -> None:
    class Sweep(Config):
        norms: Annotated[tuple[Literal["l2", "linf"], ...], Field(min_length=1)] = ("l2",)

    with pytest.raises(ConfigError) as error:
        load(Sweep, "norms: [l3]")
    assert len(error.value.problems) == 1
    assert "norms[0]" in error.value.problems[0]
    with pytest.raises(ConfigError, match="at least 1 item"):
        load(Sweep, "norms: []")
