"""How a study is described and cited in a paper: a paragraph from its manifests, and BibTeX."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raylab.engine.artifact import Artifact
from raylab.engine.identity import short
from raylab.engine.study import AnyBuilt
from raylab.report.blocks import Fold, Text
from raylab.report.made import Made, made
from raylab.report.terminal import WIDTH

PAPERS = Path(__file__).parent / "papers.bib"
DISCUSSED = ("ilyas2019", "discussion2019")  # what raylab as a whole is about
# Settings that a manifest's config may have, at any depth, and their words.
SETTINGS = {
    "network": "architecture", "aim": "targets", "start": "start", "norm": "norm", "eps": "radius", "steps": "steps",
    "step_size": "step size", "iterate": "iterate", "optimizer": "optimiser", "lr": "learning rate", "epochs": "epochs",
    "batch_size": "batch size", "pgd_steps": "PGD steps", "ensemble": "ensemble",
}  # fmt: skip
LISTED = 8  # values of a setting that are written out


def cited(about: Any, built: AnyBuilt) -> Fold:
    """The end of a report of an experiment, `about`."""
    origin = made(built.config, built.artifacts)
    version, commit = origin.packages.get("raylab", "unknown"), ", ".join(origin.commits)
    year = origin.last[:4] or "n.d."
    software = (
        f"@software{{raylab,\n  title   = {{raylab: are adversarial examples bugs or features?}},\n"
        f"  author  = {{{{The raylab contributors}}}},\n  version = {{{version}}},\n  year    = {{{year}}},\n"
        f"  note    = {{Commit {commit}; study {short(built.key)}}},\n}}"
    )
    entries = "\n\n".join([software, *bibtex((*DISCUSSED, *about.papers))])
    lines = [textwrap.fill(line, WIDTH, subsequent_indent=" " * 4) for line in entries.split("\n")]
    paragraph = Text(" ".join(_sentences(about, built, origin)))
    return Fold("Method, and how to cite it", (paragraph, Text("\n".join(lines), look="code")))


def bibtex(keys: Sequence[str]) -> list[str]:
    """Entries of `papers.bib`, each once. Raises KeyError where one is not in it."""
    entries = re.findall(r"^(@\w+\{(\w+),.*?^\})$", PAPERS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    by_key = {entry[1]: entry[0] for entry in entries}
    return [by_key[key] for key in dict.fromkeys(keys)]


def _sentences(about: Any, built: AnyBuilt, origin: Made) -> Iterator[str]:
    artifacts = list({a.key: a for a in built.artifacts.values()}.values())
    seeds = getattr(built.config, "seeds", ())
    yield about.method
    data = [artifact for artifact in artifacts if artifact.manifest["kind"] == "data"]
    if data:
        listed = (f"{one.manifest['name']} ({one.rows:,} images, sha256 {one.digest[:12]})" for one in data[:LISTED])
        more = f" and {len(data) - LISTED} more" if len(data) > LISTED else ""
        yield f"Training data: {', '.join(listed)}{more}."
    yield "Made and measured, with the settings that the manifests record:"
    kinds = [work.kind for work in origin.work if work.kind != "data"]
    yield "; ".join(_of_kind(kind, [a for a in artifacts if a.manifest["kind"] == kind]) for kind in kinds) + "."
    if seeds:
        of = f"{seeds} a case" if isinstance(seeds, int) else ", ".join(map(str, seeds))
        yield f"Seeds: {of}; intervals are of 95 %, over seeds."
    versions = ", ".join(f"{name} {origin.packages[name]}" for name in ("raylab", "python", "torch", "numpy", "ray")
                         if name in origin.packages)  # fmt: skip
    yield f"Software: {versions}; commit {', '.join(origin.commits)}; {'; '.join(origin.machines)}."
    yield f"Study {short(built.key)}. Cite raylab by its entry below, with version, commit and the key of the study."


def _of_kind(kind: str, artifacts: Sequence[Artifact]) -> str:
    found: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        for name, value in _leaves(artifact.manifest["config"]):
            if name in SETTINGS and value is not None:
                found.setdefault(name, {})[str(value)] = value
    settings = (f"{word} {_values(list(found[name].values()))}" for name, word in SETTINGS.items() if name in found)
    listed = "; ".join(settings)
    return f"{kind.replace('_', ' ')} × {len(artifacts)}{f' ({listed})' if listed else ''}"


def _values(of: list[Any]) -> str:
    of = sorted(of, key=lambda one: (isinstance(one, str), one))
    if len(of) > LISTED and all(isinstance(one, int | float) for one in of):
        return f"{of[0]:g} to {of[-1]:g}"
    more = f" and {len(of) - LISTED} more" if len(of) > LISTED else ""
    return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in of[:LISTED]) + more


def _leaves(config: object) -> Iterator[tuple[str, Any]]:
    """Names and values, of mappings at any depth; a list counts as its values."""
    if not isinstance(config, Mapping):
        return
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield from ((name, one) for one in (value if isinstance(value, list) else [value]))
