"""Fourier analysis for the terminal, as text that fits a hundred columns, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.recipes.fourier import ADVERSARIAL, GAUSSIAN, NETWORKS, STANDARD
from raylab.report.estimates import mean, spanned
from raylab.report.fourier.published import NAMES, QUOTE, QUOTED, TABLE_2, words
from raylab.report.fourier.table import Change, Result
from raylab.report.fourier.verdict import WORDS, verdicts
from raylab.report.numbers import ABSENT, number, share
from raylab.report.terminal import table, wrapped
from raylab.stages.heat_map import THIRDS

OTHERS = (GAUSSIAN, ADVERSARIAL)


def as_text(result: Result) -> str:
    """Verdicts, error by band, corruptions beside table 2, filtered noise, and what one band teaches."""
    title = f"Fourier analysis of {result.title}"
    blocks = [f"{title}\n{'=' * len(title)}"]
    blocks += [wrapped(f"About the data: {result.note}")] if result.note else []
    blocks.append("\n".join(wrapped(line, "- ") for line in notes(result)))
    said = [(NAMES[one.network], one) for one in verdicts(result)]
    blocks.append("\n".join(wrapped(f"{name} [{one.badge}]: {one.sentence}", "- ") for name, one in said))
    blocks.append(f"error by frequency, %\n{_bands(result)}")
    if result.corruptions:
        blocks.append(f"accuracy under corruptions, %, mean of five severities\n{_corruptions(result)}")
        if any(result.corruption(name) for name in QUOTED):
            blocks.append(wrapped(QUOTE))
    if result.noise:
        blocks.append(f"accuracy under noise of a band, %\n{_noise(result)}")
    if result.kept:
        blocks.append(
            f"trained and tested on one band, accuracy, % (chance {share(result.chance, 0)})\n{_kept(result)}"
        )
    return "\n\n".join(blocks) + "\n"


def notes(result: Result) -> list[str]:
    """What a run of this size can show."""
    c, seeds = result.config, len(result.config.seeds)
    tested = result.accuracy[STANDARD].n // seeds
    said = [
        f"Clean accuracy on {tested:,} test images a seed: "
        + ", ".join(f"{NAMES[name]} {number(result.accuracy[name])} %" for name in NETWORKS)
        + f"; {seeds} seed{'s' * (seeds > 1)}."
    ]
    if seeds == 1:
        said.append("One seed says nothing of another network, split or world: nothing is decided.")
    if c.data.name == "seefar":
        said.append(
            "See-Far is synthetic: what tells its classes lies at 0.5 to 2.3 cycles (shapes) and at 5 to 8 (toogits), "
            "so corruptions of photographs stand here for their frequencies alone."
        )
    return said + [f"Warning: {line}." for line in result.collapse]


def published(change: Change, name: str) -> str:
    """73, of table 2; a dash where it has no such corruption."""
    known = TABLE_2.get(change.what)
    return ABSENT if known is None else share(known[name], 0)


def bands_of(result: Result) -> Iterator[tuple[str, list[Estimate], list[Estimate]]]:
    """By network, its error when clean and in each third; and how far the latter lie above the former."""
    for name in NETWORKS:
        profile = result.profiles[name]
        errors = [mean(list(profile.clean.values()))]
        errors += [mean(list(profile.errors[band].values())) for band in THIRDS]
        yield NAMES[name], errors, [result.rise(name, band) for band in THIRDS]


def _bands(result: Result) -> str:
    first = [[name, *map(number, errors), *map(number, rises)] for name, errors, rises in bands_of(result)]
    header = ["", "clean", *THIRDS, *(f"{band} above clean" for band in THIRDS)]
    lines = [
        [one.words, spanned(one.estimate), WORDS[one.code]] for judged in verdicts(result) for one in judged.statements
    ]
    return f"{table(header, first)}\n\n{table(['points of error, 95 % interval', 'ours', ''], lines)}"


def _corruptions(result: Result) -> str:
    header = ["", *(NAMES[n] for n in NETWORKS), "adv. - standard", "beyond clean", "published: standard", "Gaussian",
              "adversarial"]  # fmt: skip
    lines = [
        [
            words(change.what),
            *(number(change.accuracy[n]) for n in NETWORKS),
            spanned(change.above[ADVERSARIAL]),
            spanned(change.beyond[ADVERSARIAL]),
            *(published(change, n) for n in NETWORKS),
        ]
        for change in result.corruptions
    ]
    return table(header, lines)


def _noise(result: Result) -> str:
    lines = [
        [
            f"{change.what}-pass {change.level}",
            *(number(change.accuracy[n]) for n in NETWORKS),
            spanned(change.above[ADVERSARIAL]),
            spanned(change.beyond[ADVERSARIAL]),
        ]
        for change in result.noise
    ]
    return table(["", *(NAMES[n] for n in NETWORKS), "adv. - standard", "beyond clean"], lines)


def _kept(result: Result) -> str:
    lines = [
        [f"{k.passes}-pass {k.bandwidth}", number(k.accuracy), " ".join(share(s.mean) for s in k.by_seed.values())]
        for k in result.kept
    ]
    return table(["", "accuracy", "single seeds"], lines)


def as_csv(result: Result) -> str:
    """One line a number: part, what, level, network, mean, se, n, seeds."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["part", "what", "level", "network", "mean", "se", "n", "seeds"])
    for part, what, level, network, value in _numbers(result):
        se = "" if math.isnan(value.se) else f"{value.se:.6g}"
        writer.writerow([part, what, level, network, f"{value.mean:.6g}", se, value.n, value.seeds])
    return stream.getvalue()


def map_csv(result: Result) -> str:
    """The heat maps: mean error over seeds at every place of the plane."""
    height, width = result.size
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["i", "j", *NETWORKS])
    for i in range(height):
        for j in range(width):
            values = [f"{result.profiles[name].plane[i, j]:.6g}" for name in NETWORKS]
            writer.writerow([i - height // 2, j - width // 2, *values])
    return stream.getvalue()


def _numbers(result: Result) -> Iterator[tuple[str, str, int | str, str, Estimate]]:
    for name in NETWORKS:
        yield "accuracy", "clean", "", name, result.accuracy[name]
        profile = result.profiles[name]
        yield "error", "clean", "", name, mean(list(profile.clean.values()))
        for band, by_seed in profile.errors.items():
            yield "error", band, "", name, mean(list(by_seed.values()))
            yield "error above clean", band, "", name, result.rise(name, band)
    for judged in verdicts(result):
        for one in judged.statements:
            yield "statement", one.words, "", one.network, one.estimate
    for part, changes in (("corruption", result.corruptions), ("noise", result.noise)):
        for change in changes:
            level = change.level or "mean"
            yield from ((part, change.what, level, name, value) for name, value in change.accuracy.items())
            for name in OTHERS:
                yield f"{part}, above standard", change.what, level, name, change.above[name]
                yield f"{part}, above standard beyond clean", change.what, level, name, change.beyond[name]
            if part == "corruption":
                for name, values in change.by_severity.items():
                    yield from ((part, change.what, place, name, one) for place, one in enumerate(values, 1))
    for kept in result.kept:
        yield "trained on a band", kept.passes, kept.bandwidth, "", kept.accuracy
