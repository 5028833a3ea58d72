"""The page of the controls, and what is kept of them besides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.controls import ControlStudy
from raylab.report.controls.figures import curve, forest
from raylab.report.controls.table import BADGES, Code, Controls
from raylab.report.controls.text import about_seeds, as_csv, as_text, heading
from raylab.report.estimates import spanned
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.tracking import DataRef, Param, Publication, Record

COLOURS: Mapping[Code, str] = {"expected": "good", "unexpected": "warn", "undecided": "open"}


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    title: str
    controls: Controls
    seeds: str
    forest: Picture
    curve: Picture | None
    made: Made


def section(controls: Controls) -> Section:
    """With its figures drawn."""
    return Section(
        f"controls-{short(controls.key)}",
        heading(controls),
        controls,
        about_seeds(controls),
        forest(controls),
        curve(controls, controls.curve) if controls.curve else None,
        made(controls.config, controls.artifacts),
    )


def page(sections: Sequence[Section], title: str = "What an accuracy is worth") -> str:
    """The HTML of one or several studies, with everything inlined."""
    return render("controls/page.html", title=title, sections=sections, badges=BADGES, colours=COLOURS, spanned=spanned)


def files(section: Section) -> dict[str, bytes]:
    """`controls.csv`, `controls.txt`, and the figures as SVG."""
    kept = {"controls.csv": as_csv(section.controls).encode(), "controls.txt": as_text(section.controls).encode()}
    pictures = [section.forest, *([section.curve] if section.curve else [])]
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in pictures}


def parent(config: ControlStudy, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {
        "data": config.data.name,
        "source": config.source,
        "student": config.student,
        "norm": config.attack.norm,
        "eps": config.attack.eps,
        "kinds": ", ".join(sorted(config.kinds)),
        "seeds": ", ".join(str(seed) for seed in sorted(config.seeds)),
    }
    name = f"{config.data.name} controls eps {config.attack.eps:g} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "controls", "raylab.config": canonical_json(config)})


def publication(controls: Controls, files: Mapping[str, bytes]) -> Publication:
    """The verdicts in the parent, every control as a child."""
    opened, codes = parent(controls.config, controls.key), [row.code for row in controls.rows]
    metrics: dict[str, float] = {code: float(codes.count(code)) for code in BADGES}
    if controls.curve is not None and controls.curve.admissible is not None:
        metrics["admissible_eps"] = controls.curve.admissible
    sentences = [f"- {row.title} [{BADGES[row.code]}]: {row.sentence}" for row in controls.rows]
    warnings = [f"Warning: {line}" for line in controls.warnings]
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(controls.provenance["commit"]),
        "raylab.machine": str(controls.provenance["machine"]),
    }
    data = [(cell, a) for cell, a in controls.artifacts.items() if cell.role == "data"]
    record = Record(
        opened.key,
        opened.name,
        opened.params,
        metrics,
        inputs=tuple(_ref(artifact, f"data {cell.seed}") for cell, artifact in data),
        tags=tags,
        note="\n".join([*([controls.note, ""] if controls.note else []), *warnings, *sentences]),
    )
    return Publication(record, tuple(_children(controls)), files)


def _children(controls: Controls) -> list[Record]:
    children = []
    for row in controls.rows:
        shares = {
            "control": row.measured[1].mean,
            "beside": row.beside[1].mean,
            "difference": row.difference.mean,
            "difference.se": row.difference.se if row.difference.seeds > 1 else math.nan,  # as on the page
            **{name.replace(" ", "_"): estimate.mean for name, estimate in row.others},
        }
        params: dict[str, Param] = {"control": row.control, "kind": row.kind, "expected": row.expected}
        children.append(
            Record(
                fingerprint({"controls": controls.key, "row": row.title}),
                row.title,
                params,
                {name: value for name, value in shares.items() if not math.isnan(value)},
                tags={"raylab.stage": "control", "raylab.verdict": row.code},
                note=row.sentence,
            )
        )
    return children


def _ref(artifact: Artifact, name: str) -> DataRef:
    return DataRef(str(artifact.manifest["name"]) or name, artifact.digest, artifact.folder)
