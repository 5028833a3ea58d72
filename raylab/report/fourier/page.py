"""The page of Fourier analysis, and its record in a tracker."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from raylab.artifact import Artifact
from raylab.identity import canonical_json, fingerprint, short
from raylab.recipes.fourier import ADVERSARIAL, NETWORKS, Cell, Fourier
from raylab.report.estimates import spanned
from raylab.report.fourier.figures import draw
from raylab.report.fourier.published import NAMES, PROTOCOL, QUOTE, QUOTED, SOURCE, TABLE_2, words
from raylab.report.fourier.table import Result
from raylab.report.fourier.text import OTHERS, as_csv, as_text, bands_of, map_csv, notes, published
from raylab.report.fourier.verdict import LOOKS, WORDS, Verdict, verdicts
from raylab.report.frame import render
from raylab.report.made import Made, made
from raylab.report.picture import Picture
from raylab.stages.heat_map import THIRDS
from raylab.tracking import DataRef, Param, Publication, Record


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    anchor: str
    result: Result
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    pictures: Mapping[str, Picture]
    made: Made

    @property
    def quoted(self) -> bool:
        return any(self.result.corruption(name) for name in QUOTED)


def section(result: Result) -> Section:
    """Judged and drawn once, for the page and for the files beside it."""
    return Section(
        f"fourier-{short(result.key)}",
        result,
        verdicts(result),
        tuple(notes(result)),
        draw(result),
        made(result.config, result.artifacts, ("data", "shown", "band")),
    )


def page(sections: Sequence[Section], title: str = "Robustness by frequency") -> str:
    """The HTML of one or several studies, with everything inlined."""
    return render(
        "fourier/page.html",
        title=title,
        sections=sections,
        networks=NETWORKS,
        others=OTHERS,
        names=NAMES,
        thirds=list(THIRDS),
        bands_of=bands_of,
        spanned=spanned,
        words=words,
        said=WORDS,
        looks=LOOKS,
        published=published,
        table_2=TABLE_2,
        source=SOURCE,
        protocol=PROTOCOL,
        quote=QUOTE,
        quoted=QUOTED,
    )


def files(section: Section) -> dict[str, bytes]:
    """`fourier.csv`, `heat_maps.csv`, `fourier.txt`, and the figures as SVG."""
    result = section.result
    kept = {
        "fourier.csv": as_csv(result).encode(),
        "heat_maps.csv": map_csv(result).encode(),
        "fourier.txt": as_text(result).encode(),
    }
    return kept | {f"figures/{picture.name}.svg": picture.svg for picture in section.pictures.values()}


def parent(config: Fourier, key: str) -> Record:
    """The parent run before there are results: what is being measured."""
    params: dict[str, Param] = {
        "data": config.data.name,
        "network": config.network,
        "norm": config.heat_map.norm,
        "gaussian": config.gaussian.gaussian or math.nan,
        "adversary_eps": math.nan if config.adversarial.adversary is None else config.adversarial.adversary.eps,
        "seeds": ", ".join(str(seed) for seed in sorted(config.seeds)),
    }
    name = f"fourier {config.data.name} {config.network} [{short(key)}]"
    return Record(key, name, params, tags={"raylab.stage": "fourier", "raylab.config": canonical_json(config)})


def publication(section: Section, kept: Mapping[str, bytes]) -> Publication:
    """Statements and corruptions in the parent, every network of every seed as a child."""
    result = section.result
    opened = parent(result.config, result.key)
    tags = {
        **opened.tags,
        "mlflow.source.git.commit": str(result.provenance["commit"]),
        "raylab.machine": str(result.provenance["machine"]),
    }
    inputs = tuple(_ref(a) for cell, a in result.artifacts.items() if cell.role in ("data", "shown"))
    sentences = [f"- {NAMES[one.network]} [{one.badge}]: {one.sentence}" for one in section.verdicts]
    note = "\n".join([*([result.note, ""] if result.note else []), *sentences])
    metrics = {name: value for name, value in _metrics(result) if not math.isnan(value)}
    record = Record(opened.key, opened.name, opened.params, metrics, inputs=inputs, tags=tags, note=note)
    return Publication(record, tuple(_children(result)), kept)


def _metrics(result: Result) -> Iterator[tuple[str, float]]:
    for name in NETWORKS:
        yield f"accuracy.{name}", result.accuracy[name].mean
        for band in THIRDS:
            yield f"error_above_clean.{band}.{name}", result.rise(name, band).mean
    for change in result.corruptions:
        yield f"above_standard.{change.what}.{ADVERSARIAL}", change.above[ADVERSARIAL].mean
        yield from ((f"accuracy.{change.what}.{name}", change.accuracy[name].mean) for name in NETWORKS)
    for kept in result.kept:
        yield f"accuracy.{kept.passes}_pass.{kept.bandwidth}", kept.accuracy.mean


def _children(result: Result) -> Iterator[Record]:
    for seed in result.config.seeds:
        for name in NETWORKS:
            artifact = result.artifacts[Cell("heat_map", seed, name)]
            network = result.artifacts[Cell("network", seed, name)]
            profile = result.profiles[name]
            metrics = {"accuracy": result.accuracy_by_seed[name][seed].mean, "error": profile.clean[seed].mean}
            metrics |= {f"error.{band}": by_seed[seed].mean for band, by_seed in profile.errors.items()}
            curves = {f"train_{of}": tuple(network.metrics.get(of, ())) for of in ("loss", "accuracy")}
            params: dict[str, Param] = {"network": name, "seed": seed, "data": result.config.data.name}
            tags = {"raylab.stage": "cell", "raylab.digest": artifact.digest}
            places = {"raylab.artifact": artifact.folder}
            key = fingerprint({"study": result.key, "heat_map": artifact.key})
            yield Record(key, f"{name} {seed}", params, metrics, curves, tags=tags, places=places)


def _ref(artifact: Artifact) -> DataRef:
    return DataRef(str(artifact.manifest["name"]), artifact.digest, artifact.folder)
