"""The small worlds of a run as comparisons: quantities of every stage in, groups of rows with verdicts out."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raylab.artifact import Artifact
from raylab.recipes.theory import Cell, Theory, absent_images
from raylab.report.comparison import WORDS, Comparison, Group, basis, got, tally, wanted
from raylab.report.estimates import mean
from raylab.report.made import newest_provenance
from raylab.report.per_seed import shifted
from raylab.report.theory import targets
from raylab.report.theory.targets import Asked, Found
from raylab.stages.quantities import read_quantities
from raylab.stages.usefulness import SPECTRUM

TITLES = {
    "gaussian": "The Gaussian model, exactly",
    "two_layer": "Two layers that see perturbations alone",
    "images": "The same on images",
    "usefulness": "Useful and robust directions",
    "squares": "Adversarial squares",
    "synthetic": "One robust feature, a hundred faint ones",
}


@dataclass(frozen=True)
class Result:
    """One config's result."""

    config: Theory
    key: str
    groups: tuple[Group, ...]
    by_seed: Mapping[str, Mapping[int, Found]]  # role -> seed -> quantities; "two_layer published" has its own
    spectrum: Mapping[str, Any]
    artifacts: Mapping[Cell, Artifact]
    provenance: Mapping[str, Any]

    def found(self, role: str) -> Found:
        """Quantities of a role, over its seeds."""
        return together(self.by_seed[role])


def measured(config: Theory, key: str, artifacts: Mapping[Cell, Artifact]) -> Result:
    """All comparisons of one config."""
    by_seed: dict[str, dict[int, Found]] = {}
    for cell, artifact in artifacts.items():
        if cell.role != "data":
            role = f"{cell.role} {cell.name}" if cell.name == "published" else cell.role
            by_seed.setdefault(role, {})[cell.seed] = _with_excess(read_quantities(artifact))
    spectrum = json.loads(artifacts[Cell("usefulness")].read(SPECTRUM))
    groups = tuple(Group(role, title, tuple(_compared(role, config, by_seed))) for role, title in TITLES.items())
    provenance = newest_provenance(artifacts.values())
    return Result(config, key, groups, by_seed, spectrum, artifacts, provenance)


def together(seeds: Mapping[int, Found]) -> Found:
    """Means over seeds with their standard error; of one seed, what it says itself."""
    if len(seeds) == 1:
        return next(iter(seeds.values()))
    first = next(iter(seeds.values()))
    return {name: mean([found[name] for found in seeds.values()]) for name in first}


def _with_excess(found: Found) -> Found:
    """Beside every accuracy with a closed form of its own: how far it lies from it, seed by seed."""
    excess = {
        f"{name} excess": shifted(found[name], -found[f"{name} expected"].mean)
        for name in found
        if f"{name} expected" in found
    }
    return {**found, **excess}


def _compared(role: str, config: Theory, by_seed: Mapping[str, Mapping[int, Found]]) -> Iterator[Comparison]:
    if role == "images":
        yield from _images(config, by_seed)
    elif role == "two_layer":
        published = together(by_seed["two_layer published"])
        yield from _answer(targets.two_layer(published=True), published)
        yield from _answer(targets.two_layer(published=False), together(by_seed[role]))
    else:
        found = together(by_seed[role])
        asked = {
            "gaussian": lambda: targets.gaussian(config, found),
            "usefulness": lambda: targets.usefulness(found),
            "squares": lambda: targets.squares(config),
            "synthetic": lambda: targets.synthetic(found),
        }[role]()
        yield from _answer(asked, found)


def _images(config: Theory, by_seed: Mapping[str, Mapping[int, Found]]) -> Iterator[Comparison]:
    if "images published" in by_seed:
        yield from _answer(targets.images(), together(by_seed["images published"]))
        return
    reason = absent_images(config) if config.images is not None else "images: null in the config"
    for asked in targets.images():
        yield Comparison(asked.target, None, asked.protocol, reason)


def _answer(asked: Iterator[Asked], found: Found) -> Iterator[Comparison]:
    """Quantities that another config does not have are not asked for."""
    for quantity, target, protocol in asked:
        if quantity in found:
            yield Comparison(target, found[quantity], protocol)


def as_text(result: Result) -> str:
    """Every comparison, for a terminal."""
    blocks = []
    for group in result.groups:
        lines = [group.title, "=" * len(group.title)]
        for one in group.comparisons:
            row = "" if one.target.row is None else f"{one.target.row}"
            lines.append(f"{row:>3} {one.target.quantity}")
            lines.append(f"      {wanted(one.target):<26} {got(one.ours):<24} {basis(one.ours):<26} {WORDS[one.code]}")
        lines += [
            f"      not run: {reason}" for reason in dict.fromkeys(c.reason for c in group.comparisons if c.reason)
        ]
        blocks.append("\n".join(lines))
    counts = ", ".join(f"{count} {WORDS[code]}" for code, count in tally(result.groups).items())
    return "\n\n".join([*blocks, counts])


def as_csv(result: Result) -> str:
    """One line a comparison, for a table elsewhere; an empty cell was not measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = "group row quantity target tolerance rule source ours se n seeds protocol verdict reason"
    writer.writerow(names.split())
    for group in result.groups:
        for one in group.comparisons:
            t, ours = one.target, one.ours
            mine = (
                ["", "", "", ""]
                if ours is None
                else [ours.mean, "" if math.isnan(ours.se) else ours.se, ours.n, ours.seeds]
            )
            row = "" if t.row is None else t.row
            writer.writerow(
                [
                    group.anchor,
                    row,
                    t.quantity,
                    t.value,
                    t.tolerance,
                    t.rule,
                    t.source,
                    *mine,
                    one.protocol,
                    one.code,
                    one.reason,
                ]
            )
    return stream.getvalue()
