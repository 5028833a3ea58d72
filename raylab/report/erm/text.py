"""The planet for the terminal and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

from raylab.report import worlds
from raylab.report.erm.sentences import sentences
from raylab.report.erm.table import FEATURES, SAID, Planet, over
from raylab.report.erm.verdict import BADGES, rows, value
from raylab.report.numbers import number
from raylab.report.terminal import table, wrapped

USED = ("network", "clean accuracy", "follows shape", "follows toogit", "shape alone", "toogit alone")


def heading(planet: Planet) -> str:
    return f"The planet Erm: {planet.config.study}"


def as_text(planet: Planet) -> str:
    """Every part as a table, then what the numbers allow. Percent, ± one standard error over worlds."""
    title = heading(planet)
    blocks = [f"{title}\n{'=' * len(title)}", *(wrapped(f"About the data: {note}") for note in planet.notes)]
    if planet.networks:
        blocks.append(f"What networks use, %\n{table(USED, list(used(planet)))}")
        blocks.append("\n".join(wrapped(said, "- ") for said in sentences(planet)))
    if planet.points:
        radii = [f"lost at {eps:g}" for eps in planet.config.eps]
        header = ["standard network", "clean accuracy", *radii, "follows shape", "follows toogit"]
        blocks.append(f"More data, more pixels, %\n{table(header, list(grown(planet)))}")
    if planet.explained:
        blocks.append(f"Energy of input gradients, %\n{table(['network', 'noise', *FEATURES], list(energies(planet)))}")
    if found := rows(planet):
        said = [
            wrapped(
                f"{row.part}: {row.quantity}: {value(row)}{f', expected {row.expected}' if row.expected else ''}: "
                f"{BADGES[row.code]}.",
                "- ",
            )
            for row in found
        ]
        blocks.append("What the numbers allow (95 % intervals over worlds)\n" + "\n".join(said))
    if planet.worlds is not None:
        blocks.append(worlds.as_text(planet.worlds).rstrip())
    elif planet.networks:
        blocks.append(NO_SCORE)
    return "\n\n".join(blocks) + "\n"


NO_SCORE = (
    "Not run: the verdict against the truth of many worlds. To run it: python jobs/erm.py configs/erm/worlds.yaml"
)


def used(planet: Planet) -> Iterator[list[str]]:
    """A line a network; first what could be had at most."""
    if planet.ceilings:
        shape, toogit = (number(over(planet.ceilings[name])) for name in ("shape", "toogit"))
        yield ["whoever follows the shape alone", shape, "100.0", "0.0", "100.0", "–"]
        yield ["whoever follows the toogit alone", toogit, "0.0", "100.0", "–", "100.0"]
    for name, use in planet.networks.items():
        shares = (use.accuracy, use.follow_r, use.follow_n, use.only_r, use.only_n)
        yield [SAID[name], *(number(over(share)) for share in shares)]


def grown(planet: Planet) -> Iterator[list[str]]:
    """A line a world and size."""
    for point in planet.points:
        size = f"{point.size} images" if point.part == "more_data" else f"{point.size}² pixels"
        shares = (point.accuracy, *point.lost.values(), point.follow_r, point.follow_n)
        yield [f"{point.world}, {size}", *(number(over(share)) for share in shares)]


def energies(planet: Planet) -> Iterator[list[str]]:
    yield ["a random direction", "–", *(f"{100 * planet.by_chance[name]:.1f}" for name in FEATURES)]
    for (name, sigma), shares in planet.explained.items():
        yield [SAID[name], f"{sigma:g}" if sigma else "none", *(number(over(shares[feature])) for feature in FEATURES)]


def as_csv(planet: Planet) -> str:
    """One line a statement: bounds and estimates as shares."""
    stream = io.StringIO()
    names = ["part", "quantity", "unit", "mean", "se", "n", "seeds", "low", "high", "verdict"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in rows(planet):
        ours = row.ours
        numbers = {"mean": _csv(ours.mean), "se": _csv(ours.se), "n": ours.n, "seeds": ours.seeds}
        bounds = {"low": _csv(row.low), "high": _csv(row.high)}
        writer.writerow(
            {"part": row.part, "quantity": row.quantity, "unit": row.unit, **numbers, **bounds, "verdict": row.code}
        )
    return stream.getvalue()


def _csv(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
