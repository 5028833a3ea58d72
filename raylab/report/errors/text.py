"""Learning from errors for the terminal and as CSV."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.report.errors.table import Errors, Key, Result
from raylab.report.errors.verdict import BADGES, Row, rows
from raylab.report.estimates import interval
from raylab.report.numbers import ABSENT, number, percent, share
from raylab.report.terminal import WIDTH, table

PARTS = {
    "errors": "Errors only: students of a teacher's wrong answers, and of controls on the same images",
    "rounds": "Rounds: a student's errors teach the next",
    "curve": "Learning curve: so many examples",
    "cue": "Planted cue: tested where toogits tell nothing",
    "tint": "Planted colour cast: tested on images without it",
    "across": "Across domains: images of another domain under the teacher's labels",
}


def heading(errors: Errors) -> str:
    return f"Learning from errors: {errors.config.study}"


def value(row: Row) -> str:
    """33.1 [28.0, 38.2] in percent, or in points of the toy."""
    low, high = interval(row.ours)
    if row.unit == "toy":
        return plain(row.ours.mean) + ("" if math.isnan(low) else f" [{low:.1f}, {high:.1f}]")
    return share(row.ours.mean) + ("" if math.isnan(low) else f" [{share(low)}, {share(high)}]")


def plain(mean: float, se: float = math.nan) -> str:
    """A number that is no share: 21.2 ± 0.5."""
    return f"{mean:.1f}" if math.isnan(se) else f"{mean:.1f} ± {se:.1f}"


def examples(result: Result) -> str:
    """Of the training set, by seed: 273-360."""
    low, high = min(result.examples, default=0), max(result.examples, default=0)
    if not high:
        return ABSENT
    return f"{high}" if low == high else f"{low}-{high}"


def stopped(errors: Errors, key: Key) -> str:
    """Of a teacher: at 72.0 %, steps 17-21; nothing where no accuracy was asked for."""
    if key not in errors.stops:
        return ABSENT
    stops = errors.stops[key]
    low, high = min(stops.steps), max(stops.steps)
    said = f"at {share(stops.target)} %, steps {low}" + (f"-{high}" if high > low else "")
    return said if all(stops.reached) else f"{said}; not reached in {stops.reached.count(False)}"


def as_text(errors: Errors) -> str:
    """Every part as a table, then what the numbers allow. Percent, ± one standard error over seeds."""
    title = heading(errors)
    blocks = [f"{title}\n{'=' * len(title)}", *(textwrap.fill(f"About the data: {n}", WIDTH) for n in errors.notes)]
    blocks += [textwrap.fill(said, WIDTH) for said in errors.missed]
    if errors.teachers:
        blocks.append(f"Teachers, %\n{_teachers(errors)}")
    for part, words in PARTS.items():
        if found := errors.of(part):
            blocks.append(f"{words}, %\n{table(*_students(found))}")
    if errors.usage:
        blocks.append(f"Where shape and toogit disagree, %\n{_usage(errors)}")
    if errors.casts:
        blocks.append(f"Images of other classes that are called what the cast says, %\n{_casts(errors)}")
    if errors.toys:
        blocks.append(f"The toy: points right, mean over worlds\n{_toys(errors)}")
    judged = [
        textwrap.fill(
            f"{'row ' + str(row.number) + ', ' if row.number else ''}{row.quantity}: {value(row)}, expected "
            f"{row.expected}: {BADGES[row.code]}.",
            WIDTH, initial_indent="- ", subsequent_indent="  ",
        )
        for row in rows(errors)
    ]  # fmt: skip
    intervals = "What the numbers allow (95 % intervals over seeds or worlds)"
    return "\n\n".join([*blocks, intervals + "\n" + "\n".join(judged)]) + "\n"


def as_csv(errors: Errors) -> str:
    """One line a row of the verdicts: bounds and estimates as shares, or as points of the toy."""
    stream = io.StringIO()
    lines = []
    for row in rows(errors):
        e = row.ours
        numbers = {"mean": _csv(e.mean), "se": _csv(e.se), "n": e.n, "seeds": e.seeds}
        bounds = {"low": _csv(row.low), "high": _csv(row.high), "unit": row.unit}
        said = {"published": row.published, "source": row.source, "verdict": row.code, "protocol": row.protocol}
        lines.append({"row": row.number or "", "quantity": row.quantity, **numbers, **bounds, **said})
    writer = csv.DictWriter(stream, list(lines[0]) if lines else ["row"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _teachers(errors: Errors) -> str:
    lines = [
        [
            f"{key.part}: {key.teacher}",
            number(result.accuracy),
            number(errors.fits[key]) if key in errors.fits else ABSENT,
            examples(result) if key in errors.fits else ABSENT,
            stopped(errors, key),
        ]
        for key, result in errors.teachers.items()
    ]
    return table(["", "test images", "its training images", "errors there", "stopped"], lines)


def _students(found: dict[Key, Result]) -> tuple[list[str], list[list[str]]]:
    lines = [
        [
            f"{key.teacher} → {key.student}, {f'{key.size} of ' if key.size else ''}{key.kind}",
            number(result.accuracy),
            " ".join(share(seed.mean) for seed in result.by_seed.values()),
            number(result.agreement) if result.agreement else ABSENT,
            examples(result),
            number(result.entropy) if result.entropy else ABSENT,
        ]
        for key, result in found.items()
    ]
    return ["", "accuracy", "single seeds", "says as teacher", "examples", "entropy of labels"], lines


def _usage(errors: Errors) -> str:
    lines = [[who, *map(number, (u.follow_n, u.follow_r, u.chosen))] for who, u in errors.usage.items()]
    return table(["", "follows toogit", "follows shape", "follows the chosen toogit"], lines)


def _casts(errors: Errors) -> str:
    lines = [[who, *map(number, (f.with_cast, f.without, f.added))] for who, f in errors.casts.items()]
    return table(["", "with the cast", "the same without", "difference"], lines)


def _toys(errors: Errors) -> str:
    def lines() -> Iterator[list[str]]:
        for name, toy in errors.toys.items():
            counts: tuple[Estimate, ...] = (toy.right, toy.control, toy.excess, toy.kept, toy.fitted)
            yield [name, *(plain(e.mean, e.se) for e in counts), percent(toy.agreement), str(toy.right.seeds)]

    header = ["", "student", "random directions", "difference", "points kept", "teacher", "agreement", "worlds"]
    return table(header, list(lines()))


def _csv(value: float) -> str:
    return "" if not math.isfinite(value) else f"{value:.6g}"
