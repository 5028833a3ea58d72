"""What `--help` and `--keys` tell of keys, for every job there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from raylab.commands import options
from raylab.config import Config, ConfigError, as_dict, explain, load, schema
from raylab.config.radius import Radius
from raylab.engine.identity import canonical_json
from raylab.experiments.transfer import TransferMatrix
from raylab.site import SiteFile
from raylab.stages.construction import Attack

JOBS = Path(__file__).parent.parent / "jobs"
READ = {**options.jobs(), "site": SiteFile}


class Ball(Config):
    """A ball around an image."""

    norm: Literal["l2", "linf"] = "l2"  # norm of the ball
    # Radius of it,
    # in pixel units.
    eps: Radius = 0.5
    centre: tuple[float, float] | None = (
        0.5,  # where it is
        0.5,
    )
    bare: int = 0


class Balls(Config):
    first: Ball = Ball()
    needed: Annotated[int, Field(ge=1)]  # must be given


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for deeper in schema.models(field.annotation):
            yield from models(deeper)


def test_the_comments_at_a_field_are_what_is_said_of_it() -> None:
    said = {name: explain.doc_of(Ball, name) for name in Ball.model_fields}
    assert said == {
        "norm": "norm of the ball",
        "eps": "Radius of it, in pixel units.",
        "centre": "where it is",
        "bare": "",
    }
    assert explain.doc_of(Balls, "first") == "A ball around an image."


def test_types_are_told_in_words() -> None:
    said = {name: explain.type_of(field.rebuild_annotation()) for name, field in Ball.model_fields.items()}
    assert said["norm"] == "l2 | linf"
    assert said["eps"] == "number or fraction like 8/255 > 0, <= 1000"
    assert said["centre"] == "list of 2: number or null"
    assert said["bare"] == "whole number"


def test_what_is_required_is_marked_and_left_to_the_reader() -> None:
    assert explain.defaults(Balls).splitlines()[-2:] == ["# must be given [whole number >= 1]", "# needed: (required)"]


def test_there_are_keys_for_every_job() -> None:
    configless = {"benchmark"}  # it runs without pydantic
    assert set(options.jobs()) == {path.stem for path in JOBS.glob("*.py")} - configless


@pytest.mark.parametrize("name", READ)
def test_every_key_of_every_job_is_explained(name: str) -> None:
    unsaid = [
        (one.__name__, key) for one in models(READ[name]) for key in one.model_fields if not explain.doc_of(one, key)
    ]
    assert unsaid == []


@pytest.mark.parametrize("name", READ)
def test_all_keys_are_a_config_file_that_says_the_defaults_in_80_columns(name: str) -> None:
    model, text = READ[name], explain.defaults(READ[name])
    assert [line for line in text.splitlines() if len(line) >= 80] == []
    try:
        default = model()
    except ValueError:  # a key is required
        assert ": (required)" in text
    else:
        assert as_dict(load(model, text)) == as_dict(default)
    assert [line for line in explain.overview(model).splitlines() if len(line) >= 80] == []


def test_one_key_is_told_with_its_type_default_and_how_to_change_it() -> None:
    said = explain.key(TransferMatrix, "attack.eps")
    assert said.startswith("attack.eps: number or fraction like 8/255 > 0, <= 1000\n  radius of the ball")
    assert said.endswith("  The default is 1.0\n  To change it: attack.eps=VALUE")


def test_a_section_is_told_with_all_its_keys_and_a_choice_of_sections_with_each() -> None:
    assert set(re.findall(r"^(\w+):", explain.key(TransferMatrix, "attack"), re.M)) == {"attack", *Attack.model_fields}
    data = explain.key(TransferMatrix, "data")
    for name in ("digits", "seefar", "mnist | fashion_mnist | cifar10", "image_folder"):
        assert f"# name: {name}" in data
    assert "train_rows: 3000" in data  # of a section that is not the default's
    assert "standard deviation of pixels" in explain.key(TransferMatrix, "data.std")


def test_an_unknown_key_comes_with_the_one_that_was_meant() -> None:
    for wrong, meant in {"eps": "attack.eps", "atack.eps": "attack.eps", "data.roo": "data.root"}.items():
        with pytest.raises(ValueError, match=rf"{wrong}: unknown key; did you mean {meant}\?"):
            explain.key(TransferMatrix, wrong)


# -- fractions


def test_a_fraction_is_the_number_and_has_its_identity() -> None:
    written = load(Attack, "norm: linf\neps: 8/255\nstep_size: 2 / 255")
    assert written == Attack(norm="linf", eps=8 / 255, step_size=2 / 255)
    assert canonical_json(written) == canonical_json(Attack(norm="linf", eps=8 / 255, step_size=2 / 255))
    assert load(Attack, "{}", ["norm=linf", "eps=8/255"]).eps == 8 / 255
    assert load(TransferMatrix, "robustness: {eps: [1/4, 0.5], others: {l1: 5/2}}").robustness is not None
    assert load(Attack, "eps: 0.5/2").eps == 0.25


@pytest.mark.parametrize("wrong", ["1/0", "1/0.0", "1/", "/2", "1/2/3", "a/b", "1e3/2", "0x1/2"])
def test_what_is_no_fraction_is_no_number(wrong: str) -> None:
    with pytest.raises(ConfigError, match="eps: must be a number, got"):
        load(Attack, f"eps: {wrong}")


@pytest.mark.parametrize("wrong", ["-8/255", "0/255", "8000/1"])
def test_a_fraction_out_of_range_is_told_as_it_was_written(wrong: str) -> None:
    with pytest.raises(ConfigError, match=f'eps: must be .* got {wrong!r}|eps: must be .*, got "{wrong}"'):
        load(Attack, f"eps: {wrong}")


def test_every_radius_takes_a_fraction() -> None:
    radii = {
        (one.__name__, name): explain.type_of(field.rebuild_annotation())
        for model in READ.values()
        for one in models(model)
        for name, field in one.model_fields.items()
        if re.search(r"(^|_)eps$|^radii$|^step_size$|^expected_at$", name)
    }
    assert len(radii) > 10
    assert {place: told for place, told in radii.items() if "fraction" not in told} == {}
