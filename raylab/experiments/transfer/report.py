"""What is shown of a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raylab.experiments.transfer import beside, figures, tables
from raylab.experiments.transfer.limits import limits
from raylab.experiments.transfer.measure import NOTHING, TRANSFER, Matrix
from raylab.experiments.transfer.plan import TransferCell
from raylab.experiments.transfer.verdict import NEIGHBOURS_TRUSTED, answer, of_robust_source, truth, verdict
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Text, Verdicts, note
from raylab.report.numbers import percent, share, span
from raylab.report.per_seed import PerSeed

PANEL_SOURCES = 2  # sources whose sets are shown: more would only make a page long
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
        figures.beside_controls(found, first),
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
    yield Figures((*(figures.accuracies(found, kind) for kind in kinds), figures.transfer_map(found)))
    yield tables.accuracy(found)
    yield from beside.further(found)
    yield Text("Transfer and learning", look="heading")
    yield Figures(tuple(figures.scatter(found, kind) for kind in kinds))
    if found.correlated:
        yield tables.correlations(found)
    yield Text("Controls", look="heading")
    yield from _controls(found, first)
    if judged := [one for row in found.rows if (one := truth(row, found.config.data)) is not None]:
        yield Text("What is true here", look="heading")
        yield Text(TRUTH)
        yield Verdicts("By the oracles, which no verdict looks at.", tuple(judged), "Source → student", brief=False)
    if any(row.reliance for row in found.rows):
        yield tables.reliance(found)
    drawn = (figures.panel(found, source, kind) for kind in kinds for source in found.config.sources[:PANEL_SOURCES])
    if panels := tuple(one for one in drawn if one is not None):
        yield Text("Examples", look="heading")
        yield Figures(panels)
    yield Fold(
        "All numbers",
        (
            tables.students(found),
            beside.differences(found),
            tables.sets(found),
            tables.transfer(found),
            tables.networks(found),
        ),
    )
    if compared := tuple(table for table in (beside.pooled(found), beside.tests(found)) if table.rows):
        yield Fold("Students against their controls: all pairs together, and every test", compared)


def _controls(found: Matrix, first: str) -> Iterator[Block]:
    if not any(row.controls for row in found.rows):
        yield Text("No control was run.")
    others = [kind for kind in found.config.every_kind if kind != first and any(row.controls for row in found.of(kind))]
    if others:
        yield Figures(tuple(figures.beside_controls(found, kind) for kind in others))
    if robust := [of_robust_source(row) for row in found.of("det") if row.robust]:
        caption = f"Is the adversarially trained source robust at radius {found.config.attack.eps:g}?"
        yield Verdicts(caption, tuple(robust), "Robust source", brief=False)
    if any("leakage" in row.above for row in found.rows):
        yield tables.leakage(found)
    if any(row.robustness for row in found.rows):
        yield tables.robustness(found)
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
    return f"{kind}, {figures.meaning(kind)}. Lowest to highest mean of the pairs: {listed}."


def _warnings(found: Matrix) -> Iterator[Text]:
    """Of collapsed trainings and of masked gradients, each once."""
    every = [f"robust accuracy of standard {name}: {one}" for name, of in found.warnings.items() for one in of]
    for row in found.rows:
        every += [f"robust source {row.source}: {one}" for one in (row.robust.warnings if row.robust else ())]
        every += [f"{row.kind} from {row.source} to {row.target}: {one}" for one in row.warnings]
    if every:
        yield Text("Warnings: these numbers may be too high, or a training failed", tuple(dict.fromkeys(every)), "note")


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
