"""The page and the tracker's record of the small worlds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.theory import Cell, Theory
from raylab.report import comparison
from raylab.report.comparison import LOOKS, WORDS
from raylab.report.frame import render
from raylab.report.made import made
from raylab.report.picture import Picture
from raylab.report.theory.table import Result, as_csv, as_text
from raylab.tracking import DataRef, Param, Publication, Record

Pictures = Mapping[str, Sequence[Picture]]  # by group


def page(results: Sequence[Result], drawn: Sequence[Pictures]) -> str:
    """The HTML of one or several configs."""
    return render(
        "theory/page.html",
        title="Worlds where the answer is known",
        sections=[
            (r, pictures, made(r.config, r.artifacts, ("data",))) for r, pictures in zip(results, drawn, strict=True)
        ],
        words=WORDS,
        looks=LOOKS,
        wanted=comparison.wanted,
        got=comparison.got,
        basis=comparison.basis,
        tally=comparison.tally,
        short=short,
    )


def files(result: Result, pictures: Pictures) -> dict[str, bytes]:
    """Table, text and figures, by file name."""
    kept = {"theory.csv": as_csv(result).encode(), "theory.txt": as_text(result).encode()}
    return kept | {f"figures/{p.name}.svg": p.svg for found in pictures.values() for p in found}


def parent(config: Theory, key: str) -> Record:
    """The run before there are results."""
    params: dict[str, Param] = {"seeds": ", ".join(map(str, sorted(config.seeds))), "data": config.usefulness_data.name}
    return Record(
        key, f"theory [{short(key)}]", params, tags={"raylab.stage": "theory", "raylab.config": canonical_json(config)}
    )


def publication(result: Result, kept: Mapping[str, bytes]) -> Publication:
    """Counts of verdicts in the parent, every experiment of every seed as a child."""
    opened, counts = parent(result.config, result.key), comparison.tally(result.groups)
    metrics = {f"verdict.{code}": float(count) for code, count in counts.items()}
    note = "\n".join(
        f"- {group.title}: {', '.join(f'{count} {WORDS[code]}' for code, count in group.counts)}"
        for group in result.groups
    )
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(result.provenance["commit"]),
        "raylab.machine": str(result.provenance["machine"]),
    }
    inputs = tuple(
        DataRef(str(a.manifest["name"]), a.digest, a.folder)
        for cell, a in result.artifacts.items()
        if cell.role == "data"
    )
    record = Record(opened.key, opened.name, opened.params, metrics, inputs=inputs, tags=tags, note=note)
    return Publication(record, tuple(_children(result)), kept)


def _children(result: Result) -> Iterator[Record]:
    for cell, artifact in result.artifacts.items():
        if cell.role != "data":
            yield _child(result, cell, artifact)


def _child(result: Result, cell: Cell, artifact: Artifact) -> Record:
    role = f"{cell.role} {cell.name}" if cell.name == "published" else cell.role
    found = result.by_seed[role][cell.seed]
    metrics = {_plain(name): estimate.mean for name, estimate in found.items()}
    params: dict[str, Param] = {"experiment": role, "seed": cell.seed}
    tags, places = {"raylab.stage": "cell", "raylab.digest": artifact.digest}, {"raylab.artifact": artifact.folder}
    key = fingerprint({"theory": result.key, "stage": artifact.key})
    return Record(key, f"{role} {cell.seed}", params, metrics, tags=tags, places=places)


def _plain(name: str) -> str:
    """A metric's name may have letters, digits, spaces, points and the like only."""
    return "".join(c if c.isalnum() or c in " ._-/" else "" for c in name)
