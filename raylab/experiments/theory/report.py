"""The report on the small worlds: the answer, and every number beside what it is held against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from raylab.core.statistics import Estimate
from raylab.experiments.theory.figures import pictures
from raylab.experiments.theory.measure import TheoryWorlds
from raylab.experiments.theory.plan import TheoryCell
from raylab.experiments.theory.verdict import BADGES, Comparison, answer, compared, counts, unmatched
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each
from raylab.report.charts import stacked
from raylab.report.numbers import basis
from raylab.report.picture import Picture
from raylab.report.values import Significant

LONG = 10  # rows beyond which a table has to be opened
RULES = {"equal": "equal", "at_least": "at least", "at_most": "at most"}
COLOURS = {"exact": "#0072b2", "within": "#56b4e9", "met": "#009e73", "inconclusive": "#e69f00", "outside": "#d55e00"}


class _WorldSection(NamedTuple):
    """A section of the page."""

    title: str
    parts: tuple[str, ...]  # by `TheoryCell.world`
    about: str


WORLDS = {
    "gaussian": _WorldSection(
        "The Gaussian model, exactly",
        ("gaussian",),
        "Two Gaussian classes and a classifier fitted by maximum likelihood. Vulnerability is the misalignment of two "
        "metrics: that of the data, and the round one of the adversary. Robust training blends the two, which turns the"
        " gradient towards the direction between the classes. Everything has a closed form or a bisection, and is "
        "sampled beside it.",
    ),
    "two_layer": _WorldSection(
        "Two layers that see perturbations alone",
        ("two_layer published", "two_layer"),
        "A network is trained on two shifted Gaussians; every point is pushed, by a tiny step, towards a random label; "
        "a second network sees the pushes with these labels and nothing else. It learns the classes. How small a push "
        "may be, though, is set by the luck of the labels: their sum pulls the bias. The published run is one draw, and"
        " its labels sum to −12: its very draws are made again here from the definitions of the generators, without its"
        " hardware.",
    ),
    "images": _WorldSection(
        "The same on images",
        ("images published",),
        "Ones and twos of MNIST, with the published run’s own initial networks and labels.",
    ),
    "usefulness": _WorldSection(
        "Useful and robust directions",
        ("usefulness",),
        "How useful a linear feature is, and what an adversary takes from it, are exact in terms of two moments of the "
        "data. Two constructions are useful and not robust by the definition, for opposite reasons.",
    ),
    "squares": _WorldSection(
        "Adversarial squares",
        ("squares",),
        "A world whose only feature is robust, with a tenth of the labels wrong. A network that fits these labels by "
        "the noise of each image has adversarial examples; after one epoch it has hardly any, and neither has it where "
        "either noise is missing.",
    ),
    "synthetic": _WorldSection(
        "One robust feature, a hundred faint ones",
        ("synthetic",),
        "One feature that is right 95 % of the time and cannot be turned, and a hundred faint ones that together are "
        "nearly perfect and can. Logistic regression; by symmetry the limit of endless data is a minimum in two "
        "variables, shown beside the numbers. The robustness of D_R depends on how many examples average out the faint "
        "features: with one random start an example it is nearly lost, with eight nearly whole. The published number "
        "does not say how many it had.",
    ),
}
Compared = Mapping[str, Sequence[Comparison]]  # by the names of WORLDS


def report(worlds: TheoryWorlds) -> Report:
    by_world = {name: [one for part in world.parts for one in compared(worlds, part)] for name, world in WORLDS.items()}
    listed = [one for those in by_world.values() for one in those]
    study = worlds.config.study
    return Report(
        f"Six small worlds{'' if study == 'theory' else f': {study}'}",
        answer(listed),
        tuple(_blocks(worlds, by_world)),
        _tally(by_world),
        "worlds",
        {f"verdict/{code}": float(count) for code, count in counts(listed).items()},
    )


def _blocks(worlds: TheoryWorlds, by_world: Compared) -> Iterator[Block]:
    yield _counted(by_world)
    if unlike := tuple(one for those in by_world.values() for one in unmatched(those)):
        yield Verdicts("Numbers that the rule does not say to agree.", unlike, "Number")
    for name, world in WORLDS.items():
        yield Text(world.title, look="heading")
        yield Text(world.about)
        if drawn := pictures(worlds, name):
            yield Figures(drawn)
        table = _table(name, by_world[name])
        yield table if len(table.rows) <= LONG else Fold(f"All {len(table.rows)} rows", (table,))


def _counted(by_world: Compared) -> Table:
    rows = {WORLDS[name].title: those for name, those in by_world.items()}
    rows["All"] = [one for those in by_world.values() for one in those]
    codes = {badge.words: code for code, badge in BADGES.items()}

    def count(words: str, row: tuple[str, Sequence[Comparison]]) -> int | None:
        return counts(row[1]).get(codes[words])

    return Table.of(
        "worlds",
        "How many numbers of each world the rule calls what.",
        rows.items(),
        {
            "World": lambda row: row[0],
            **each(codes, "{}", count),
            "all": lambda row: len(row[1]),
        },
    )


def _table(name: str, comparisons: Sequence[Comparison]) -> Table:
    found = ", ".join(f"{count} {BADGES[code].words}" for code, count in counts(comparisons).items())
    return Table.of(
        name,
        f"{found}. ± is the standard error over seeds, or of the sample of one run. Row: of the scoreboard.",
        comparisons,
        {
            "Quantity": lambda one: one.target.quantity,
            "Verdict": lambda one: BADGES[one.code],
            "Ours": lambda one: one.shown,
            "Rule": lambda one: RULES[one.target.rule],
            "Target": lambda one: Significant(one.target.value),
            "Tolerance": lambda one: Significant(one.target.tolerance) if one.target.rule == "equal" else None,
            "Rests on": lambda one: basis(one.ours),
            "Row": lambda one: one.target.row,
            "Protocol": lambda one: one.protocol or None,
            "Source of the target": lambda one: one.target.source,
            "Not run": lambda one: one.reason or None,
        },
        bold="Ours",
    )


def _tally(by_world: Compared) -> Picture:
    rows = {}
    for name, those in by_world.items():
        found = counts(those)
        shares = {badge.words: found.get(code, 0) / max(1, len(those)) for code, badge in BADGES.items()}
        rows[f"{WORLDS[name].title} ({len(those)})"] = {
            words: Estimate(share, float("nan"), len(those), 1) for words, share in shares.items()
        }
    parts = {BADGES[code].words: colour for code, colour in COLOURS.items()}  # type: ignore[index]
    caption = (
        "Our numbers beside the published and exact ones; in brackets, how many those are. Exact: computed, and within "
        "the tolerance. Criterion met: the whole interval is on the side that was asked for."
    )
    title, words = "Verdicts by world", "% of the numbers of a world"
    return stacked("verdicts", title, words, rows, parts, BADGES["not_run"].words, caption)


def conditions(worlds: TheoryWorlds) -> Iterator[Condition]:
    """Every result of every seed."""
    for cell in dict.fromkeys(cell._replace(seed=0) for cell in worlds.built.planned if cell.role != "data"):
        params = {"world": cell.role, **({"draws": cell.name} if cell.name else {})}
        metrics = {f"{cell.role}/{_plain(name)}": of for name, of in worlds.found(cell.world).items()}
        yield Condition(params, metrics, artifact=TheoryCell(cell.role, 0, cell.name))


def _plain(quantity: str) -> str:
    """As the name of a metric: "diag(4, 1) eps 1 s0" is diag_4_1_eps_1_s0."""
    return re.sub(r"[^\w.-]+", "_", quantity).strip("_")
