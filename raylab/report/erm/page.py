"""The page of the planet, and what is kept of it besides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.erm import Cell, Erm
from raylab.report import worlds
from raylab.report.erm.figures import pictures
from raylab.report.erm.sentences import sentences
from raylab.report.erm.table import FEATURES, SAID, Planet, over
from raylab.report.erm.text import NO_SCORE, USED, as_csv, as_text, energies, grown, heading, used
from raylab.report.erm.verdict import BADGES, COLOURS, Row, rows, value
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.tracking import DataRef, Param, Publication, Record


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    title: str
    planet: Planet
    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    used: tuple[list[str], ...]
    grown: tuple[list[str], ...]
    energies: tuple[list[str], ...]
    pictures: tuple[Picture, ...]
    score: Mapping[str, object] | None  # the verdict against many worlds
    made: Made


def section(planet: Planet) -> Section:
    """With its figures drawn."""
    return Section(
        f"erm-{short(planet.key)}",
        heading(planet),
        planet,
        tuple(sentences(planet)),
        tuple(rows(planet)),
        tuple(used(planet)),
        tuple(grown(planet)),
        tuple(energies(planet)) if planet.explained else (),
        pictures(planet),
        None if planet.worlds is None else worlds.shown(planet.worlds),
        made(planet.config, planet.artifacts, sets=("data", "set")),
    )


def page(sections: Sequence[Section], title: str = "The planet Erm") -> str:
    """The HTML of one or several studies, with everything inlined."""
    headers = {"used_header": USED, "features": FEATURES, "no_score": NO_SCORE}
    return render(
        "erm/page.html", title=title, sections=sections, badges=BADGES, colours=COLOURS, value=value, **headers
    )


def files(section: Section) -> dict[str, bytes]:
    """`erm.csv`, `erm.txt`, figures as SVG, and `worlds.csv` where worlds were judged."""
    planet = section.planet
    kept = {"erm.csv": as_csv(planet).encode(), "erm.txt": as_text(planet).encode()}
    if planet.worlds is not None:
        kept["worlds.csv"] = worlds.as_csv(planet.worlds).encode()
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in section.pictures}


def parent(config: Erm, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {"seeds": ", ".join(str(seed) for seed in sorted(config.seeds))}
    if config.data is not None:
        told = {"toogit_reliability": config.data.toogit_reliability, "toogit_amplitude": config.data.toogit_amplitude}
        params |= {"network": config.network, "eps": config.attack.eps, **told}
    if config.worlds is not None:
        params |= {"worlds.without": config.worlds.without, "worlds.having": config.worlds.having}
    name = f"erm {config.study} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "erm", "raylab.config": canonical_json(config)})


def publication(section: Section, files: Mapping[str, bytes]) -> Publication:
    """The statements in the parent, every network as a child."""
    planet = section.planet
    opened, codes = parent(planet.config, planet.key), [row.code for row in section.rows]
    metrics: dict[str, float] = {code: float(codes.count(code)) for code in BADGES}
    if planet.worlds is not None:
        metrics |= worlds.counts(planet.worlds)
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(planet.provenance["commit"]),
        "raylab.machine": str(planet.provenance["machine"]),
    }
    inputs = tuple(
        DataRef(str(a.manifest["name"]), a.digest, a.folder)
        for cell, a in planet.artifacts.items()
        if isinstance(cell, Cell) and cell.role == "data"
    )
    note = "\n".join([*planet.notes, *(f"- {said}" for said in section.sentences)])
    record = Record(opened.key, opened.name, opened.params, metrics, inputs=inputs, tags=tags, note=note)
    return Publication(record, tuple(_child(planet, name) for name in planet.networks), files)


def _child(planet: Planet, name: str) -> Record:
    use = planet.networks[name]
    measured = {
        what: over(getattr(use, what)).mean for what in ("accuracy", "follow_r", "follow_n", "only_r", "only_n")
    }
    known = {what: number for what, number in measured.items() if not math.isnan(number)}
    key = fingerprint({"erm": planet.key, "network": name})
    return Record(key, SAID[name], {"network": name}, known, tags={"raylab.stage": "network"})
