"""The page of the poisons, and what is kept of them besides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.poison import CLEAN, DEFENCES, PoisonStudy
from raylab.report.estimates import mean
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.report.poison.figures import LOOKS, draw
from raylab.report.poison.table import FOLLOWED, LABELS, Key, Poisons, Victim
from raylab.report.poison.text import PUBLISHED, as_csv, as_text, notes, robust
from raylab.report.poison.verdict import Verdict, changes, judged, trigger_label
from raylab.tracking import DataRef, Param, Publication, Record


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    found: Poisons
    notes: tuple[str, ...]
    verdicts: tuple[tuple[str, Verdict], ...]
    pictures: dict[str, Picture]  # by name
    oracles: tuple[str, ...]
    made: Made


def section(found: Poisons) -> Section:
    """Judged and drawn once, for the page and for the files beside it."""
    return Section(
        f"poison-{short(found.key)}",
        found,
        tuple(notes(found)),
        tuple(judged(found)),
        {picture.name: picture for picture in draw(found)},
        tuple(dict.fromkeys(name for looks in found.looks.values() for name in looks.oracles)),
        made(found.config, found.artifacts),
    )


def page(sections: Sequence[Section], title: str = "Poisons that change no label") -> str:
    """The HTML of one or several studies, with everything inlined."""
    said = {"robust": robust, "changes": changes, "mean": mean, "trigger_label": trigger_label, "key": Key}
    known = {"labels": LABELS, "defences": DEFENCES, "words": LOOKS, "published": PUBLISHED, "followed": FOLLOWED}
    return render("poison/page.html", title=title, sections=sections, clean=CLEAN, **known, **said)


def files(section: Section) -> dict[str, bytes]:
    """`poison.csv`, `poison.txt`, and the figures as SVG."""
    kept = {"poison.csv": as_csv(section.found).encode(), "poison.txt": as_text(section.found).encode()}
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in section.pictures.values()}


def parent(config: PoisonStudy, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {
        "data": config.data.name,
        "source": config.source,
        "victim": config.victim,
        "norm": config.attack.norm,
        "eps": config.attack.eps,
        "adversary_eps": math.nan if config.robust.adversary is None else config.robust.adversary.eps,
        "poisons": ", ".join(sorted(config.poisons)),
        "seeds": ", ".join(str(seed) for seed in sorted(config.seeds)),
    }
    name = f"poison {config.data.name} {config.attack.norm} eps {config.attack.eps:g} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "poison", "raylab.config": canonical_json(config)})


def publication(section: Section, files: Mapping[str, bytes]) -> Publication:
    """The verdicts in the parent, every victim of every seed as a child."""
    found = section.found
    opened = parent(found.config, found.key)
    sentences = [f"- {label} [{one.badge}]: {one.sentence}" for label, one in section.verdicts]
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(found.provenance["commit"]),
        "raylab.machine": str(found.provenance["machine"]),
    }
    lost = {f"lost.{of}": changes(found, of).lost.mean for of in found.sets if of != CLEAN}
    record = Record(
        opened.key,
        opened.name,
        opened.params,
        lost,
        inputs=tuple(_ref(a) for cell, a in found.artifacts.items() if cell.role == "data"),
        tags=tags,
        note="\n".join([*([found.note, ""] if found.note else []), *sentences]),
    )
    return Publication(record, tuple(_children(found)), files)


def _children(found: Poisons) -> Iterator[Record]:
    for key, victim in found.victims.items():
        for seed in found.config.seeds:
            yield _child(found, key, victim, seed)


def _child(found: Poisons, key: Key, victim: Victim, seed: int) -> Record:
    name = " ".join([key.of, key.defence, *([f"share {key.share:g}"] if key.share < 1 else [])])
    name += f" {key.eps:g}" if key.eps else ""
    params: dict[str, Param] = {**key._asdict(), "seed": seed, "data": found.config.data.name}
    metrics = {"accuracy": victim.by_seed[seed].mean, "says_previous": victim.previous_by_seed[seed].mean}
    if victim.robust is not None:
        metrics["robust"] = victim.robust[seed].mean
    if key in found.obeyed:
        metrics["obeyed"] = found.obeyed[key].by_seed[seed].mean
    identity = fingerprint({"poison": found.key, "victim": tuple(key), "seed": seed})
    return Record(identity, f"{name} {seed}", params, metrics, tags={"raylab.stage": "victim"})


def _ref(artifact: Artifact) -> DataRef:
    return DataRef(str(artifact.manifest["name"]), artifact.digest, artifact.folder)
