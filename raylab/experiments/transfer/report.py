"""What is shown of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from raylab.experiments.transfer.figures import panel, scatter
from raylab.experiments.transfer.limits import limits
from raylab.experiments.transfer.measure import CONTROLS, NOTHING, TRANSFER, Matrix, Row
from raylab.experiments.transfer.plan import TESTED, TransferCell
from raylab.experiments.transfer.verdict import NEIGHBOURS_TRUSTED, answer, of_robust_source, truth, verdict
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each, note
from raylab.report.charts import Mark, dots, heat_map
from raylab.report.drawing import over
from raylab.report.numbers import percent, share, span
from raylab.report.per_seed import PerSeed
from raylab.report.picture import INK, Picture
from raylab.report.pooled import FEWEST, over_architectures, over_pairs
from raylab.report.significance import holm
from raylab.report.values import Plain, Significant, Singles, Spanned

PANEL_SOURCES = 2  # sources whose sets are shown: more would only make a page long
KINDS = {
    "rand": "the new label is drawn from all classes",
    "other": "the new label is drawn from the other classes",
    "det": "the new label is the next class",
}
VIEWS = {
    "pooled": "all pairs",
    "off_diagonal": "different architectures",
    "within_source": "within each source",
    "within_source_off_diagonal": "within, different architectures",
}
LABELS = {
    "unperturbed": "unperturbed images",
    "random_labels": "random-label source",
    "untrained": "untrained source",
    "robust": "robust source",
    "leakage": "leakage-only set",
}
STUDENT, NEXT = "student", "next-class rate (p1)"
MARKS = {
    STUDENT: Mark("#0072b2", "o"),
    NEXT: Mark(INK, "|"),
    "unperturbed images": Mark("#7a8793", "o", hollow=True),
    "random-label source": Mark("#d55e00", "^", hollow=True),
    "untrained source": Mark("#cc79a7", "s", hollow=True),
    "robust source": Mark("#009e73", "D", hollow=True),
    "leakage-only set": Mark("#b8860b", "v", hollow=True),
}
RATES = {  # of transfer: headers, in the order of the table
    "targeted": "Targeted: says the target",
    "targeted_given_fooled": "The same, given fooled",
    "targeted_misclassified": "Targeted: errs",
    "targeted_misclassified_given_fooled": "Errs, given fooled",
    "untargeted": "Untargeted: errs",
    "untargeted_given_fooled": "Untargeted: errs, given fooled",
    "untargeted_same_class": "Makes the source’s error",
    "untargeted_same_class_given_fooled": "Makes the source’s error, given fooled",
}
TRUTH = (
    "See-Far is synthetic: each image has a large robust feature, which a small perturbation cannot change, and a faint"
    " non-robust one, which it can (See-Far calls them shape and toogit). Oracles read both without error on clean "
    "images, so here it is known which feature the attack turned and which one a student relies on. The verdicts above "
    "never look at it: they must hold where nobody knows the truth. “Leakage not excluded” beside “true by the oracles”"
    " therefore means that the student did learn the non-robust feature, and that the numbers that everybody has do not"
    " prove it."
)


def report(found: Matrix) -> Report:
    first = "det" if "det" in found.config.every_kind else found.config.every_kind[0]
    return Report(
        found.title,
        answer(found),
        tuple(_blocks(found, first)),
        _beside_controls(found, first),
        "accuracy",
        dict(_metrics(found)),
    )


def _blocks(found: Matrix, first: str) -> Iterator[Block]:
    kinds = found.config.every_kind
    yield from note(found.note)
    yield from _warnings(found)
    for kind in kinds:
        verdicts = tuple(verdict(row, found.neighbours_clean) for row in found.of(kind))
        yield Verdicts(_caption(found, kind), verdicts, "Source → student")
    yield Text("What this size can show", tuple(limits(found)), "aside")
    yield Text("Learning", look="heading")
    yield Figures((*(_accuracies(found, kind) for kind in kinds), _transfer_map(found)))
    yield _accuracy_table(found)
    yield from _beside_tests(found)
    yield Text("Transfer and learning", look="heading")
    yield Figures(tuple(scatter(found, kind) for kind in kinds))
    if found.correlated:
        yield _correlation_table(found)
    yield Text("Controls", look="heading")
    yield from _controls(found, first)
    if judged := [one for row in found.rows if (one := truth(row, found.config.data)) is not None]:
        yield Text("What is true here", look="heading")
        yield Text(TRUTH)
        yield Verdicts("By the oracles, which no verdict looks at.", tuple(judged), "Source → student", brief=False)
    if any(row.reliance for row in found.rows):
        yield _reliance_table(found)
    drawn = (panel(found, source, kind) for kind in kinds for source in found.config.sources[:PANEL_SOURCES])
    if panels := tuple(one for one in drawn if one is not None):
        yield Text("Examples", look="heading")
        yield Figures(panels)
    yield Fold("All numbers", (_students(found), _differences(found), _sets(found), _transfer(found), _networks(found)))
    if compared := tuple(table for table in (_pooled(found), _tests(found)) if table.rows):
        yield Fold("Students against their controls: all pairs together, and every test", compared)


def _controls(found: Matrix, first: str) -> Iterator[Block]:
    if not any(row.controls for row in found.rows):
        yield Text("No control was run.")
    others = [kind for kind in found.config.every_kind if kind != first and any(row.controls for row in found.of(kind))]
    if others:
        yield Figures(tuple(_beside_controls(found, kind) for kind in others))
    if robust := [of_robust_source(row) for row in found.of("det") if row.robust]:
        caption = f"Is the adversarially trained source robust at radius {found.config.attack.eps:g}?"
        yield Verdicts(caption, tuple(robust), "Robust source", brief=False)
    if any("leakage" in row.above for row in found.rows):
        yield _leakage_table(found)
    if any(row.robustness for row in found.rows):
        yield _robustness_table(found)
    if clean := found.neighbours_clean:
        trusted = clean.mean.mean >= NEIGHBOURS_TRUSTED
        doubt = "" if trusted else f"; below {share(NEIGHBOURS_TRUSTED, 0)} % nothing is concluded from it"
        yield Text(f"The 1-nearest-neighbour check is right on {percent(clean.mean)} of the clean images{doubt}.")


def _caption(found: Matrix, kind: str) -> str:
    """The lowest to the highest mean among the pairs."""
    rows = found.of(kind)
    ranges = {
        "accuracy": [row.accuracy for row in rows],
        "next-class rate (p1)": [row.p1 for row in rows],
        "attack success rate": [row.success for row in rows],
        "targeted transfer": [row.transfer[TRANSFER] for row in rows],
    }
    listed = ", ".join(f"{name} {span(one.mean for one in of)}" for name, of in ranges.items())
    return f"{kind}, {_meaning(kind)}. Lowest to highest mean of the pairs: {listed}."


def _meaning(kind: str) -> str:
    return KINDS.get(kind, "a construction of one’s own")


def _warnings(found: Matrix) -> Iterator[Text]:
    """Of collapsed trainings and of masked gradients, each once."""
    every = [f"robust accuracy of standard {name}: {one}" for name, of in found.warnings.items() for one in of]
    for row in found.rows:
        every += [f"robust source {row.source}: {one}" for one in (row.robust.warnings if row.robust else ())]
        every += [f"{row.kind} from {row.source} to {row.target}: {one}" for one in row.warnings]
    if every:
        yield Text("Warnings: these numbers may be too high, or a training failed", tuple(dict.fromkeys(every)), "note")


# -- tables


def _accuracy_table(found: Matrix) -> Table:
    """Sources by students, the controls below the sets themselves."""
    c, lines = found.config, dict[tuple[str, str], dict[str, PerSeed]]()
    for row in found.rows:
        lines.setdefault((row.kind, row.source), {})[row.target] = row.accuracy
    for row in sorted(found.rows, key=lambda row: c.every_kind.index(row.kind)):
        for name, of in row.controls.items():
            whose = f" {row.source}" if name != "unperturbed" or c.keep != "all" else ""
            lines.setdefault((row.kind, f"{LABELS[name]}{whose}"), {})[row.target] = of
    ranked = sorted(lines.items(), key=lambda line: c.every_kind.index(line[0][0]))
    return Table.of(
        "accuracy",
        f"Accuracy of students (columns) by what made their set, in percent, ± standard error{over(c.seeds)}.",
        ranked,
        {
            "Kind": lambda line: line[0][0],
            "Set from": lambda line: line[0][1],
            **each(c.targets, "{}", lambda name, line: line[1].get(name, NOTHING)),
        },
        keys=2,
    )


def _beside_tests(found: Matrix) -> Iterator[Table]:
    """What every tested network does on further test images, and by measures of somebody's own."""
    c, errors = found.config, f"± standard error{over(found.config.seeds)}"
    if found.further:
        caption = f"Accuracy on further test images, in percent, {errors}."
        yield _beside_table("further", caption, found.further, tuple(c.evaluate_on or ()), lambda of: of)
    if found.metrics:
        caption = f"Measures of one’s own on the test images, as they are, {errors}; accuracy in percent."
        yield _beside_table("metrics", caption, found.metrics, tuple(c.metrics or ()), Plain)


def _beside_table(
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
    control = LABELS.get(cell.control, "")
    if cell.role == "student":
        made = " ".join(filter(None, (control, cell.source)))
        return f"{cell.kind} from {made}"
    return f"clean images ({control or ('source' if cell.role == 'source' else 'independent')})"


def _correlation_table(found: Matrix) -> Table:
    rows = [(kind, view, of[view]) for kind, of in found.correlated.items() for view in VIEWS]
    return Table.of(
        "correlations",
        "Correlation of targeted transfer with the accuracy of the student, one point a pair and seed; brackets: 95 % "
        "interval over resampled sources and targets.",
        rows,
        {
            "Kind": lambda row: row[0],
            "Points": lambda row: VIEWS[row[1]],
            "Pearson": lambda row: row[2].pearson,
            "Spearman": lambda row: row[2].spearman,
            "n": lambda row: row[2].n,
        },
        keys=2,
    )


def _leakage_table(found: Matrix) -> Table:
    return Table.of(
        "leakage",
        "The student against that of the leakage-only set, whose random patterns show nothing of their class: only "
        "which images it leaves unperturbed can be learned from it. The two are not additive, so one is no share of "
        "the other. Brackets: 95 % interval, paired by seed.",
        (row for row in found.rows if "leakage" in row.above),
        {
            **PAIR,
            "Images left unperturbed, %": lambda row: row.unperturbed,
            "Leakage-only set, %": lambda row: row.controls["leakage"],
            "Set itself, %": lambda row: row.accuracy,
            "Difference, points": lambda row: Spanned(row.above["leakage"]),
        },
        keys=2,
    )


def _robustness_table(found: Matrix) -> Table:
    rows = [("clean images", name, of) for name, of in found.robustness.items() if of]
    rows += [(f"{row.kind} from {row.source}", row.target, row.robustness) for row in found.rows if row.robustness]
    radii = list(rows[0][2])
    return Table.of(
        "robustness",
        "Robust accuracy in percent, by radius: did the students only swap one set of features for another? Beside "
        "them independent networks of their architecture, trained on the clean images.",
        rows,
        {
            "Trained on": lambda row: row[0],
            "Network": lambda row: row[1],
            **{f"Radius {eps:g}": partial(lambda eps, row: row[2][eps], eps) for eps in radii},
        },
        keys=2,
    )


def _reliance_table(found: Matrix) -> Table:
    return Table.of(
        "reliance",
        "Set: what the oracles read on the constructed images. Student: whose class it says on images where the two "
        "features disagree (feature reliance). In percent.",
        (row for row in found.rows if row.reliance),
        {
            **PAIR,
            "Set: non-robust feature is the target’s": lambda row: row.oracles["turned"],
            "Set: robust feature kept": lambda row: row.oracles["kept"],
            "Student: non-robust feature": lambda row: row.reliance["non_robust"],
            "Student: robust feature": lambda row: row.reliance["robust"],
            "Accuracy": lambda row: row.accuracy,
        },
        keys=2,
    )


PAIR = {"Kind": lambda row: row.kind, "Source → student": lambda row: row.pair}


def _students(found: Matrix) -> Table:
    return Table.of(
        "students",
        f"Students on clean test images, in percent: mean ± standard error{over(found.config.seeds)}. "
        "Next-class rate (p1 in the papers’ tables): the share of test images called label + 1.",
        found.rows,
        {
            **PAIR,
            "Accuracy": lambda row: row.accuracy,
            "Single seeds": lambda row: Singles(row.accuracy),
            "Next-class rate (p1)": lambda row: row.p1,
            **{LABELS[name].capitalize(): _get("controls", name) for name in CONTROLS},
            "Robust source: next-class rate": lambda row: row.robust.p1 if row.robust else None,
            "n": lambda row: row.accuracy.mean.n,
            "Seeds": lambda row: row.accuracy.mean.seeds,
        },
        keys=2,
        bold="Accuracy",
    )


def _differences(found: Matrix) -> Table:
    return Table.of(
        "differences",
        "Accuracy of the student minus that of each control and minus the next-class rate, in points, paired by seed; "
        "brackets: 95 % interval. A random-label source that did not fit its labels is no control.",
        found.rows,
        {
            **PAIR,
            **{f"Above {LABELS[name]}": _spanned(name) for name in CONTROLS},
            "Above next-class rate": lambda row: Spanned(row.above_p1),
            "Above chance": lambda row: Spanned(row.accuracy - row.chance),
        },
        keys=2,
    )


def _pooled(found: Matrix) -> Table:
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
            "Control": lambda line: LABELS[line[1]],
            "Pairs": lambda line: len(line[2]),
            "These architectures": lambda line: Spanned(over_pairs(line[2])),
            "Others too": lambda line: Spanned(wide) if (wide := over_architectures(line[2])) else None,
        },
        keys=2,
    )


def _tests(found: Matrix) -> Table:
    compared = [(row, name, of) for row in found.rows for name, of in row.above.items() if of]
    p_values = [of.p_value for _, _, of in compared]
    adjusted = holm(p_values)
    seeds = len(found.config.seeds)
    return Table.of(
        "tests",
        "Accuracy of the student minus that of a control, in points, with the 95 % interval and the two-sided p-value "
        "of the same paired rule: below .05 where the interval leaves 0 out. Holm: adjusted for all tests of this "
        "table (Holm 1979), so that those below .05 are all true in 95 % of such tables. No verdict depends on it"
        + (f"; with {seeds} seeds few differences are large enough for so many tests." if seeds < 5 else "."),
        [(*of, p, after) for of, p, after in zip(compared, p_values, adjusted, strict=True)],
        {
            "Kind": lambda test: test[0].kind,
            "Source → student": lambda test: test[0].pair,
            "Control": lambda test: LABELS[test[1]],
            "Difference": lambda test: Spanned(test[2]),
            "p": lambda test: Significant(test[3], 2),
            "p, Holm": lambda test: Significant(test[4], 2),
        },
        keys=3,
    )


def _sets(found: Matrix) -> Table:
    """What belongs to a set whoever learns from it."""
    first: dict[tuple[str, str], Row] = {}
    for row in sorted(found.rows, key=lambda row: row.robust is None):
        first.setdefault((row.kind, row.source), row)
    attacked = [name for name in CONTROLS if name != "leakage"]
    return Table.of(
        "sets",
        "The sets and their sources, in percent. Attack success rate: the source says the target, of images whose "
        "target is another class. Robust accuracy: under the attack of the sets itself, untargeted, on test images.",
        [first[kind, source] for kind in found.config.every_kind for source in found.config.sources],
        {
            "Kind": lambda row: row.kind,
            "Source": lambda row: row.source,
            "Attack success rate": lambda row: row.success,
            "At the other iterate": lambda row: row.success_other,
            **{f"On {LABELS[name]}": _get("control_success", name) for name in attacked},
            "Source: accuracy": lambda row: found.sources[row.source],
            "Source: robust accuracy": lambda row: row.robust_accuracy,
            "Robust source: accuracy": lambda row: row.robust.accuracy if row.robust else None,
            "Robust source: robust accuracy": lambda row: row.robust.robust_accuracy if row.robust else None,
            "Random-label source: fit of its labels": lambda row: row.noise_fit,
            "Leakage-only set: unperturbed": lambda row: row.unperturbed,
            "1-NN: original": lambda row: row.neighbours_original,
            "1-NN: target": lambda row: row.neighbours_target,
        },
        keys=2,
        bold="Attack success rate",
    )


def _transfer(found: Matrix) -> Table:
    return Table.of(
        "transfer",
        "Transfer to an independent network of the student’s architecture, in percent, of all test images, and of "
        "those that it has right when clean and on which the source is fooled (n of the targeted ones).",
        found.of(found.config.every_kind[0]),  # the same for all kinds: it is a property of two networks
        {
            "Source → network": lambda row: row.pair,
            **{header: _get("transfer", name) for name, header in RATES.items()},
            "n, given fooled": lambda row: row.transfer.get("targeted_given_fooled", NOTHING).mean.n,
        },
        bold="Targeted: says the target",
    )


def _networks(found: Matrix) -> Table:
    return Table.of(
        "networks",
        "Accuracy on clean test images of the sources, and of independent networks of the students’ architectures, in "
        "percent.",
        dict.fromkeys((*found.sources, *found.standard)),
        {
            "Network": lambda name: name,
            "As source": lambda name: found.sources.get(name, NOTHING),
            "Independent": lambda name: found.standard.get(name, NOTHING),
        },
    )


def _get(field: str, name: str) -> Callable[[Row], PerSeed]:
    return lambda row: getattr(row, field).get(name, NOTHING)


def _spanned(name: str) -> Callable[[Row], Spanned | None]:
    return lambda row: Spanned(row.above[name]) if row.above.get(name) else None


# -- the tracker


def _metrics(found: Matrix) -> Iterator[tuple[str, float]]:
    for kind in found.config.every_kind:
        means = [row.accuracy.mean.mean for row in found.of(kind) if row.accuracy]
        if means:
            yield f"accuracy/mean_{kind}", sum(means) / len(means)
        for view, correlation in found.correlated.get(kind, {}).items():
            yield f"pearson/{kind}_{view}", correlation.pearson.value
            yield f"spearman/{kind}_{view}", correlation.spearman.value
    for target in found.config.targets:
        for name, of in _beside(found, TransferCell("standard", 0, target=target)).items():
            if of:
                yield f"{name}_standard_{target}", of.mean.mean


def _beside(found: Matrix, cell: TransferCell) -> Mapping[str, PerSeed]:
    groups = {"accuracy_on": found.further, "own": found.metrics}
    return {
        f"{group}/{name}": of
        for group, measured in groups.items()
        for name, of in measured.get(cell, {}).items()
        if name != "test"
    }


def conditions(found: Matrix) -> Iterator[Condition]:
    """Every student."""
    c = found.config
    for row in found.rows:
        metrics = {
            "accuracy/test": row.accuracy,
            "accuracy/next_class": row.p1,
            "attack/success_rate": row.success,
            "attack/success_rate_other_iterate": row.success_other,
            "attack/success_rate_on_robust_source": row.robust.success if row.robust else NOTHING,
            **{f"control/{name}": of for name, of in row.controls.items()},
            **{f"above/{name}": of for name, of in row.above.items()},
            "above/next_class": row.above_p1,
            **{f"transfer/{name}": of for name, of in row.transfer.items()},
            **{f"robust/{c.robustness.norm}_{eps:g}": of for eps, of in row.robustness.items() if c.robustness},
            **{f"reliance/{name}": of for name, of in row.reliance.items()},
            **_beside(found, TransferCell("student", 0, row.source, row.target, row.kind)),
        }
        place = TransferCell("network", 0, row.source, row.target, row.kind)
        params = {"source": row.source, "target": row.target, "kind": row.kind}
        judged = verdict(row, found.neighbours_clean).badge.words
        yield Condition(params, metrics, judged, place, TransferCell("set", 0, row.source, "", row.kind))


# -- figures


def _beside_controls(found: Matrix, kind: str) -> Picture:
    """The student of every pair beside what it must beat; on det also the next-class rate."""
    rows = {row.pair: _series(row) for row in found.of(kind)}
    rule = " The upright stroke is the next-class rate: what the visible content says." if kind == "det" else ""
    caption = (
        f"Accuracy on clean test images after training on {kind} sets alone: {_meaning(kind)}. Source → student; "
        f"hollow: the controls, which are absent where they were not run.{rule} Dotted: chance. Bars: standard error"
        f"{over(found.config.seeds)}."
    )
    title = f"{kind}: the student beside what it must beat"
    chance = 1 / len(found.class_names)
    return dots(f"controls_{kind}", title, "test images, %", rows, MARKS, caption, chance, width=8.4, pitch=0.27)


def _series(row: Row) -> dict[str, PerSeed]:
    series = {LABELS[name]: of for name, of in row.controls.items()}
    return series | ({NEXT: row.p1} if row.kind == "det" else {}) | {STUDENT: row.accuracy}


def _accuracies(found: Matrix, kind: str) -> Picture:
    """Student accuracy by source (rows) and student architecture (columns); where labels are y + 1 the next-class rate
    too."""
    p1 = (
        "; p1 is the next-class rate, the share of test images that it calls label + 1, as the visible content of its "
        "training images says"
    )
    caption = (
        f"Accuracy on untouched test images of students trained on {kind} sets{p1 if kind == 'det' else ''}. Chance is "
        f"{100 / len(found.class_names):.3g} %; {_spread(found)}."
    )

    def below(source: str, target: str) -> Sequence[str]:
        row = found.row(source, target, kind)
        return _error(row.accuracy), f"p1 {share(row.p1.mean.mean)}" if kind == "det" else ""

    values = {s: {t: found.row(s, t, kind).accuracy for t in found.config.targets} for s in found.config.sources}
    title = f"{kind}: accuracy of the student, %"
    return heat_map(f"heat_map_{kind}", title, values, _noted(found, caption), ("student", "source"), below)


def _transfer_map(found: Matrix) -> Picture:
    """Targeted transfer from each source to an independent, ordinarily trained network of each architecture."""
    kind = found.config.every_kind[0]
    caption = (
        "Share of test images, attacked towards label + 1 on the source, that an independent network calls label + 1 "
        f"(it was trained on clean images and never saw the source); {_spread(found)}."
    )
    values = {
        s: {t: found.row(s, t, kind).transfer[TRANSFER] for t in found.config.targets} for s in found.config.sources
    }
    return heat_map(
        "heat_map_transfer", "targeted transfer, %", values, _noted(found, caption), ("independent network", "source"),
        lambda source, target: [_error(values[source][target])], "Oranges",
    )  # fmt: skip


def _error(of: PerSeed) -> str:
    return f"± {share(of.mean.se)}" if of else ""


def _spread(found: Matrix) -> str:
    seeds = len(found.config.seeds)
    if seeds == 1:
        return "one seed, ± is the sampling error of the test images alone"
    return f"mean of {seeds} seeds, ± is the standard error over seeds"


def _noted(found: Matrix, caption: str) -> str:
    return f"{caption} {found.note}" if found.note else caption
