"""The report on the controls: the answer, tables and figures, each said once."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.experiments.controls.measure import SOURCES, MeasuredControls
from raylab.experiments.controls.plan import ControlsCell
from raylab.experiments.controls.verdict import EXPECTED, UNDECIDED, UNEXPECTED, answer, holds, of_control, verdicts
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each, note
from raylab.report.charts import Mark, dots, lines
from raylab.report.numbers import percent
from raylab.report.per_seed import PerSeed
from raylab.report.picture import COLOURS, Picture
from raylab.report.values import Fixed, Spanned
from raylab.tracking import Param

CONTROL, BESIDE = "the control", "what it is compared with"
MARKS = {CONTROL: Mark(COLOURS[0], "o"), BESIDE: Mark("#7a8793", "D", hollow=True)}
LOOKS = {"standard": Mark(COLOURS[1], "s"), "robust": Mark(COLOURS[2], "o")}
HELD = {True: "yes", False: "no", None: "open"}


def report(found: MeasuredControls) -> Report:
    return Report(found.title, answer(found), tuple(_blocks(found)), _forest(found), "controls", dict(_metrics(found)))


def _blocks(found: MeasuredControls) -> Iterator[Block]:
    yield from note(found.note, found.collapsed)
    yield Verdicts("Is the sign the published one?", verdicts(found), "Control")
    yield Text("What this size can show", tuple(_size(found)), "aside")
    yield Text("What is expected", tuple(_expected(found)))
    yield _table(found)
    yield Fold("What else was measured", (_others(found), _checks(found)))
    if found.curve:
        yield Text("A robust source over the radius", look="heading")
        where = "none of those measured" if found.admissible is None else f"{found.admissible:g}"
        if not found.admissible_is_known:
            where = "not known, for a radius was not built"
        yield Text(
            "The admissible radius is the largest at which students of the robust source are at or below chance, and "
            f"at all smaller ones: {where}. Beyond it leakage of robust features is not excluded, whatever "
            "students of the standard source reach."
        )
        yield Figures((_curve(found),))
        yield Fold("The same in numbers", (_curve_table(found),))


def _size(found: MeasuredControls) -> Iterator[str]:
    if len(found.config.seeds) == 1:
        yield "One seed: it says nothing of other networks, and no sign is decided."
    else:
        yield f"{_seeds(found)}; differences are paired by seed, brackets are 95 % intervals over seeds."
    sources = ", ".join(f"{percent(value.mean)} ({name})" for name, value in found.sources.items())
    yield f"Sources are right on {sources} of the test images."


def _expected(found: MeasuredControls) -> Iterator[str]:
    titles: dict[str, list[str]] = {}
    for one in found.controls:
        titles.setdefault(one.expected, []).append(one.title)
    yield from (f"{'; '.join(those)}: {expected}." for expected, those in titles.items())


# -- tables


def _table(found: MeasuredControls) -> Table:
    return Table.of(
        "controls",
        "Accuracy on untouched test images, in percent, of each control and of what it is compared with; the difference"
        " in points, paired by seed.",
        found.controls,
        {
            "Control": lambda one: one.title,
            "Accuracy": lambda one: one.measured.value,
            "Beside it": lambda one: one.beside.value,
            "Difference": lambda one: Spanned(one.difference),
            "Sign": lambda one: of_control(one).badge,
            "Measured": lambda one: one.measured.name,
            "Compared with": lambda one: one.beside.name,
            "Radius": lambda one: Fixed(one.eps),
            "n": lambda one: one.measured.value.mean.n,
        },
        bold="Difference",
    )


def _others(found: MeasuredControls) -> Table:
    return Table.of(
        "others",
        "Other shares of the controls, in percent. Transfer: an independent network gives the label of the attack.",
        [(control, quantity) for control in found.controls for quantity in control.others],
        {
            "Control": lambda row: row[0].title,
            "Quantity": lambda row: row[1].name,
            "Share": lambda row: row[1].value,
            "n": lambda row: row[1].value.mean.n,
        },
        keys=2,
    )


def _checks(found: MeasuredControls) -> Table:
    return Table.of(
        "checks",
        "What is expected, as differences in points with their 95 % intervals. It holds where the whole interval is "
        "above 0; where a limit is asked, where the mean is at or above 0 and the interval is not below it.",
        [(control, check) for control in found.controls for check in control.checks],
        {
            "Control": lambda row: row[0].title,
            "Check": lambda row: row[1].words,
            "Limit or difference": lambda row: "difference" if row[1].strictly else "limit",
            "Points above 0": lambda row: Spanned(row[1].difference),
            "Holds": lambda row: HELD[holds(row[1])] if row[1].difference else None,
        },
        keys=2,
    )


def _curve_table(found: MeasuredControls) -> Table:
    curve = found.curve
    return Table.of(
        "radius",
        "Students of next-class sets (det), in percent, by the radius of the attack. The next-class rate (p1 in the "
        "papers’ tables) is the share of test images that are called label + 1.",
        [] if found.config.curve is None else found.config.curve.eps,
        {
            "Radius": lambda eps: Fixed(eps),
            **each(reversed(SOURCES), "{} source", lambda of, eps: curve[of].accuracy[eps]),
            **each(reversed(SOURCES), "{} source, next-class rate", lambda of, eps: curve[of].next_class[eps]),
            **each(reversed(SOURCES), "{} source, attack success rate", lambda of, eps: curve[of].success[eps]),
        },
    )


# -- for the tracker


def _metrics(found: MeasuredControls) -> Iterator[tuple[str, float]]:
    badges = [one.badge for one in verdicts(found)]
    for name, badge in (("expected", EXPECTED), ("unexpected", UNEXPECTED), ("undecided", UNDECIDED)):
        yield f"signs/{name}", float(badges.count(badge))
    if found.admissible is not None:
        yield "admissible/eps", found.admissible


def conditions(found: MeasuredControls) -> Iterator[Condition]:
    """Every control, source and radius."""
    for one in found.controls:
        metrics = {
            "accuracy/control": one.measured.value,
            "accuracy/beside": one.beside.value,
            "accuracy/difference": one.difference,
            **{_metric(quantity.name): quantity.value for quantity in one.others},
        }
        params = _params(found, one.name, one.kind, one.eps)
        network, features = (one.tested if one.tested.role == role else None for role in ("student", "features"))
        yield Condition(params, metrics, of_control(one).badge.words, network, one.trained_on, features)
    for of, over in found.curve.items():
        for eps in over.accuracy:
            metrics = {
                "accuracy/test": over.accuracy[eps],
                "accuracy/next_class": over.next_class[eps],
                "attack/success_rate": over.success[eps],
            }
            params = _params(found, f"{of} source", "det", eps)
            yield Condition(
                params, metrics, "", ControlsCell("student", 0, of, "det", eps), ControlsCell("set", 0, of, "det", eps)
            )


def _params(found: MeasuredControls, control: str, kind: str, eps: float) -> dict[str, Param]:
    of = found.config.bugs if control == "bugs" and found.config.bugs else found.config
    return {"control": control, "kind": kind, "source": of.source, "student": of.student, "eps": eps}


def _metric(name: str) -> str:
    grouped = {"attack success rate": "attack/success_rate", "transfer": "transfer/targeted"}
    return grouped.get(name, f"control/{name.replace(' ', '_').replace('-', '_')}")


# -- figures


def _forest(found: MeasuredControls) -> Picture:
    rows = {one.title: {CONTROL: one.measured.value, BESIDE: one.beside.value} for one in found.controls}
    caption = (
        f"Means and 95 % intervals over {_over(found)}. The dotted line is chance. What a control is compared with is "
        "named in the table."
    )
    unit = "accuracy on untouched test images, %"
    return dots("controls", "The controls", unit, rows, MARKS, caption, at=found.chance, intervals=True)


def _curve(found: MeasuredControls) -> Picture:
    curves: dict[str, dict[float, PerSeed]] = {}
    marks: dict[str, Mark] = {}
    for of, over in found.curve.items():
        for name, values, hollow in (("clean label", over.accuracy, False), ("label + 1", over.next_class, True)):
            curves[f"{of} source: {name}"] = dict(values)
            marks[f"{of} source: {name}"] = LOOKS[of]._replace(hollow=hollow)
    admissible, (first, *_) = found.admissible, found.curve["robust"].accuracy
    where = (
        f"Up to {admissible:g}, students of the robust source stay at or below chance"
        if admissible is not None
        else f"Students of the robust source are not at or below chance at {first:g} already"
    )
    if not found.admissible_is_known:
        where = "The radius up to which students of the robust source stay at or below chance is not known"
    caption = (
        f"{where}: only there can a perturbation of a standard source be told from a visible change. Filled: the "
        f"student gives the clean label; hollow: label + 1. Dashed: chance. Means and 95 % intervals over "
        f"{_over(found)}."
    )
    return lines(
        "robust_source",
        "det from a standard and from a robust source",
        "radius of the attack",
        "test images, %",
        curves,
        marks,
        caption,
        at=found.chance,
        stretches={} if admissible is None else {"admissible": (0.0, admissible)},
        intervals=True,
    )


def _seeds(found: MeasuredControls) -> str:
    return f"{len(found.config.seeds)} seeds"


def _over(found: MeasuredControls) -> str:
    return _seeds(found) if len(found.config.seeds) > 1 else "one seed, which has no interval"
