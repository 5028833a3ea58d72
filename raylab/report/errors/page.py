"""The page of learning from errors, and what is kept of it besides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.errors import LearningFromErrors
from raylab.report.errors.figures import pictures
from raylab.report.errors.panels import panels
from raylab.report.errors.table import Errors, Key, Result
from raylab.report.errors.text import PARTS, as_csv, as_text, examples, heading, plain, stopped, value
from raylab.report.errors.verdict import BADGES, COLOURS, Row, rows
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.tracking import DataRef, Param, Publication, Record


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    title: str
    errors: Errors
    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...]
    parts: Mapping[str, Mapping[Key, Result]]  # by what they show
    made: Made


def section(errors: Errors) -> Section:
    """With its figures drawn."""
    return Section(
        f"errors-{short(errors.key)}",
        heading(errors),
        errors,
        tuple(rows(errors)),
        (*pictures(errors), *panels(errors)),
        {words: found for part, words in PARTS.items() if (found := errors.of(part))},
        made(errors.config, errors.artifacts),
    )


def page(sections: Sequence[Section], title: str = "Learning from errors") -> str:
    """The HTML of one or several studies, with everything inlined."""
    said = {"value": value, "examples": examples, "plain": plain, "stopped": stopped}
    return render("errors/page.html", title=title, sections=sections, badges=BADGES, colours=COLOURS, **said)


def files(section: Section) -> dict[str, bytes]:
    """`errors.csv` (the rows of the scoreboard among others), `errors.txt`, and the figures as SVG."""
    kept = {"errors.csv": as_csv(section.errors).encode(), "errors.txt": as_text(section.errors).encode()}
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in section.pictures}


def parent(config: LearningFromErrors, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {"seeds": ", ".join(str(seed) for seed in sorted(config.seeds))}
    for part in ("errors", "cue", "tint", "across"):
        if (given := getattr(config, part)) is not None:
            params[f"{part}.data"] = given.data.name
    if config.across:
        params["across.images"] = config.across.images.name
    if config.toy:
        params["toy.worlds"] = config.toy.seeds
    name = f"errors {config.study} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "errors", "raylab.config": canonical_json(config)})


def publication(section: Section, files: Mapping[str, bytes]) -> Publication:
    """The verdicts in the parent, every student and every way of the toy as a child."""
    errors = section.errors
    opened, codes = parent(errors.config, errors.key), [row.code for row in section.rows]
    sentences = [f"- {row.quantity} [{BADGES[row.code]}]: {value(row)}, {row.expected}" for row in section.rows]
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(errors.provenance["commit"]),
        "raylab.machine": str(errors.provenance["machine"]),
    }
    record = Record(
        opened.key,
        opened.name,
        opened.params,
        {code: float(codes.count(code)) for code in BADGES},
        inputs=tuple(_ref(a) for cell, a in errors.artifacts.items() if cell.role == "data"),
        tags=tags,
        note="\n".join([*errors.notes, *errors.missed, *sentences]),
    )
    return Publication(record, tuple(_children(errors)), files)


def _children(errors: Errors) -> Iterator[Record]:
    for key, result in errors.students.items():
        measured = {"accuracy": result.accuracy.mean, "accuracy.se": result.accuracy.se}
        if result.agreement:
            measured["agreement"] = result.agreement.mean
        params: dict[str, Param] = dict(key._asdict())
        name = f"{key.part} {key.teacher} -> {key.student} {key.kind}{f' {key.size}' if key.size else ''}"
        yield _child(errors, name, params, measured)
    for name, toy in errors.toys.items():
        measured = {"right": toy.right.mean, "right.se": toy.right.se, "control": toy.control.mean}
        yield _child(errors, f"toy {name}", {"part": "toy", "kind": name}, measured)


def _child(errors: Errors, name: str, params: dict[str, Param], metrics: Mapping[str, float]) -> Record:
    known = {metric: number for metric, number in metrics.items() if not math.isnan(number)}
    key = fingerprint({"errors": errors.key, "child": name})
    return Record(key, name, params, known, tags={"raylab.stage": "student"})


def _ref(artifact: Artifact) -> DataRef:
    return DataRef(str(artifact.manifest["name"]), artifact.digest, artifact.folder)
