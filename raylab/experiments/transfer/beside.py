"""What stands beside the main numbers: students against their controls, pooled and tested, and further test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from raylab.experiments.transfer.measure import CONTROLS, NOTHING, Matrix, Row
from raylab.experiments.transfer.plan import TESTED, TransferCell
from raylab.experiments.transfer.tables import PAIR
from raylab.report.blocks import Table, each
from raylab.report.drawing import seeds_phrase
from raylab.report.per_seed import PerSeed
from raylab.report.pooled import FEWEST, over_architectures, over_pairs
from raylab.report.significance import paired_tests
from raylab.report.values import Plain, Spanned


def differences(found: Matrix) -> Table:
    return Table.of(
        "differences",
        "Accuracy of the student minus that of each control and minus the next-class rate, in points, paired by seed; "
        "brackets: 95 % interval. A random-label source that did not fit its labels is no control.",
        found.rows,
        {
            **PAIR,
            **{f"Above {CONTROLS[name]}": _spanned(name) for name in CONTROLS},
            "Above next-class rate": lambda row: Spanned(row.above_p1),
            "Above chance": lambda row: Spanned(row.accuracy - row.chance),
        },
        keys=2,
    )


def pooled(found: Matrix) -> Table:
    together: dict[tuple[str, str], dict[tuple[str, str], PerSeed]] = {}
    for row in found.rows:
        for name, of in row.above.items():
            together.setdefault((row.kind, name), {})[row.source, row.target] = of
    return Table.of(
        "pooled",
        "Accuracy of the student minus that of a control, in points, the mean over all pairs that have it. Brackets: "
        "95 % intervals, of these architectures with other networks and images (over seeds), and of other sources and "
        f"students too (a hierarchical bootstrap, which needs {FEWEST} sources, students and seeds).",
        [(*of, pairs) for of, pairs in together.items() if len(pairs) > 1 and all(pairs.values())],
        {
            "Kind": lambda line: line[0],
            "Control": lambda line: CONTROLS[line[1]],
            "Pairs": lambda line: len(line[2]),
            "These architectures": lambda line: Spanned(over_pairs(line[2])),
            "Others too": lambda line: Spanned(wide) if (wide := over_architectures(line[2])) else None,
        },
        keys=2,
    )


def tests(found: Matrix) -> Table:
    return paired_tests(
        "Accuracy of the student minus that of a control",
        ("Kind", "Source → student", "Control"),
        (((row.kind, row.pair, CONTROLS[name]), of) for row in found.rows for name, of in row.above.items()),
        len(found.config.seeds),
    )


def _spanned(name: str) -> Callable[[Row], Spanned | None]:
    return lambda row: Spanned(row.above[name]) if row.above.get(name) else None


def further(found: Matrix) -> Iterator[Table]:
    """What every tested network does on further test images, and by measures of somebody's own."""
    c, errors = found.config, f"± standard error{seeds_phrase(found.config.seeds)}"
    if found.further:
        caption = f"Accuracy on further test images, in percent, {errors}."
        yield _on_tests("further", caption, found.further, tuple(c.evaluate_on or ()), lambda of: of)
    if found.metrics:
        caption = f"Measures of one’s own on the test images, as they are, {errors}; accuracy in percent."
        yield _on_tests("metrics", caption, found.metrics, tuple(c.metrics or ()), Plain)


def _on_tests(
    name: str,
    caption: str,
    measured: Mapping[TransferCell, Mapping[str, PerSeed]],
    columns: Sequence[str],
    value: Callable[[PerSeed], PerSeed | Plain],
) -> Table:
    return Table.of(
        name,
        caption,
        sorted(measured.items(), key=lambda line: TESTED.index(line[0].role)),
        {
            "Trained on": lambda line: _trained_on(line[0]),
            "Network": lambda line: line[0].target or line[0].source,
            "Accuracy": lambda line: line[1]["test"],
            **each(columns, "{}", lambda on, line: value(line[1].get(on, NOTHING))),
        },
        keys=2,
    )


def _trained_on(cell: TransferCell) -> str:
    """What a source, an independent network or a student was trained on."""
    control = CONTROLS.get(cell.control, "")
    if cell.role == "student":
        made = " ".join(filter(None, (control, cell.source)))
        return f"{cell.kind} from {made}"
    return f"clean images ({control or ('source' if cell.role == 'source' else 'independent')})"
