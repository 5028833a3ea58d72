"""The report on many worlds: how often the verdict of the transfer matrix is wrong, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from raylab.experiments import transfer
from raylab.experiments.transfer import RULE
from raylab.experiments.worlds.measure import REGIONS, TRUTHS, JudgedCase, Score, Truth, evidence, numbers
from raylab.experiments.worlds.plan import WorldsCell
from raylab.experiments.worlds.thresholds import best, tried
from raylab.experiments.worlds.verdict import RULES, answer, by_rule, of_claims, of_mistake
from raylab.report.blocks import Block, Condition, Fold, Report, Table, Text, each
from raylab.report.charts import Mark, dots
from raylab.report.numbers import share
from raylab.report.picture import Picture
from raylab.report.tracker import params_of
from raylab.report.values import Fixed, Value

CLAIMED = "evidence claimed"
BRIEF: dict[Truth, str] = {
    "without": "nothing to find",
    "robust_turns": "robust feature turns",
    "turned": "turned in 90 % or more",
    "partly": "turned in 50 to 90 %",
    "not_turned": "turned in less than half",
}


def report(score: Score) -> Report:
    c = score.config
    return Report(
        f"The verdict on {len(score.judged)} cases of {c.seeds} worlds each, split {c.split}",
        answer(score),
        tuple(_blocks(score)),
        _rates_picture(score),
        "thresholds" if c.thresholds else "rates",  # who asks for them waits for them
        _metrics(score),
    )


def _metrics(score: Score) -> dict[str, float]:
    rates = {truth: evidence(score.of(truth)) for truth in TRUTHS}
    return {
        **{f"evidence/{truth}": rate.share for truth, rate in rates.items()},
        **{f"cases/{truth}": float(rate.n) for truth, rate in rates.items()},
        **{f"reliance/{one.rule.name}": one.right.share for one in by_rule(score)},
    }


def conditions(score: Score) -> Iterator[Condition]:
    """The student of every case."""
    for one in score.judged:
        place = WorldsCell(one.name, "network", 0, one.row.source, one.row.target, one.row.kind)
        made = place._replace(role="set", target="")
        for of in transfer.conditions(score.matrices[one.name]):
            params, drawn = {"case": one.name, **of.params}, {"truth": one.truth, **params_of(one.config)}
            yield replace(of, params=params, drawn=drawn, network=place, trained_on=made)


def _blocks(score: Score) -> Iterator[Block]:
    if score.unbuilt:
        yield Text("Cases that were not built, and are counted nowhere", score.unbuilt, "note")
    yield _rates(score)
    if score.config.thresholds:
        yield _thresholds(score)
    yield Text("Where it is wrong", look="heading")
    yield from _regions(score)
    yield from _mistakes(score)
    if rules := by_rule(score):
        yield Text("Which features the networks rely on", look="heading")
        yield Text(
            "Comparisons with chance are over the non-robust features of a case's worlds, at a level that all of a "
            "rule's share (5 % together)."
        )
        for one in rules:
            fixed = (
                "The rule was fixed before any of these cases was drawn:"
                if one.unseen
                else "Some of these cases had been seen when the rule was made:"
            )
            why = f" {one.rule.why}" if one.rule.why else ""
            wrong = tuple(f"{name}: {'; '.join(failed)}" for name, failed in one.wrong.items())
            yield Text(
                f"{one.rule.title}. Cases in which it is as the truth demands: {one.right}. {fixed} "
                f"{one.rule.asks}{why}",
                wrong,
            )
    yield from _outweighed(score)
    yield Fold("Every case", (_cases(score),))


def _outweighed(score: Score) -> Iterator[Text]:
    if score.outweighed:
        yield Text(
            "Claims of evidence in which non-robust features do not decide most, where the features disagree: "
            f"{of_claims(score)}. A student that relies on the robust feature learned it from what the perturbations "
            "leaked of it; one that relies on the class after it learned the visible content. Neither of them can be "
            "told from the claim alone.",
            tuple(f"{one.name} ({TRUTHS[one.truth]}): {words}" for one, words in score.outweighed),
        )


# -- tables


def _rates(score: Score) -> Table:
    return Table.of(
        "rates",
        "How often evidence was claimed, with the exact 95 % interval (Clopper and Pearson). Nothing to find: "
        "non-robust features say nothing of the class, or are not there. In the first line every claim is a mistake, "
        "in the third every abstention. Evidence asks for an attack success rate of at least "
        f"{share(RULE.flips, 0)} % on the standard source, at most {share(RULE.stands, 0)} % of that on the robust "
        f"one, targeted transfer of at least {share(RULE.carries, 0)} %, an accuracy above the next-class rate (p1), "
        "and a student above every control.",
        TRUTHS.items(),
        {"By the oracles": lambda one: one[1], "Evidence claimed": lambda one: evidence(score.of(one[0]))},
    )


def _regions(score: Score) -> Iterator[Table]:
    """By what a case was drawn from: false evidence without features, power where they were turned."""
    rows = []
    for name, value in REGIONS.items():
        for part in sorted({value(one.config) for one in score.judged}):
            of = [one for one in score.judged if value(one.config) == part]
            false, power = (evidence([one for one in of if one.truth == truth]) for truth in ("without", "turned"))
            rows += [(name, part, false, power)] if false.n + power.n else []
    if rows:
        yield Table.of(
            "regions",
            "By what a case was drawn from: how often evidence is claimed where there is nothing to find (false), and "
            "where non-robust features were turned (power).",
            rows,
            {
                "Drawn": lambda row: row[0],
                "Value": lambda row: _number(row[1]),
                "False evidence": lambda row: row[2] if row[2].n else None,
                "Power": lambda row: row[3] if row[3].n else None,
            },
            keys=2,
        )


def _mistakes(score: Score) -> Iterator[Block]:
    if not score.mistakes:
        yield Text("No mistakes.")
        return
    chosen = ("Accuracy", "Next-class rate (p1)", "Attack success rate", "On the robust source")
    yield Table.of(
        "mistakes",
        "Mistakes: false evidence, and cases whose non-robust features were turned and that are not called evidence. "
        "In percent.",
        score.mistakes,
        {
            "Case": lambda one: one.name,
            "Truth": lambda one: BRIEF[one.truth],
            **each(chosen, "{}", lambda name, one: numbers(one.row)[name]),
        },
    )
    yield Text("What the verdict says of them:", tuple(f"{one.name}: {of_mistake(one)}" for one in score.mistakes))


def _thresholds(score: Score) -> Table:
    return Table.of(
        "thresholds",
        "The verdict under other thresholds: attack success rate on the source, at least; on the robust source, at most"
        " "
        "and as a share of that; targeted transfer, at least.",
        best(tried(score.judged)),
        {
            "Success": lambda one: f"{one.rule.flips:g}",
            "Robust": lambda one: f"{one.rule.stands:g}",
            "Transfer": lambda one: f"{one.rule.carries:g}" + (" (today)" if one.rule == RULE else ""),
            "False evidence": lambda one: one.false,
            "Power, turned": lambda one: one.power,
            "Partly turned": lambda one: one.partly,
        },
        keys=3,
    )


def _cases(score: Score) -> Table:
    names = list(numbers(score.judged[0].row)) if score.judged else []
    return Table.of(
        "worlds",
        "What every case was drawn as, what was measured (in percent), the truth and the verdict.",
        score.judged,
        {
            "Case": lambda one: one.name,
            **each(REGIONS, "{}", lambda name, one: _number(REGIONS[name](one.config))),
            **each(names, "{}", lambda name, one: numbers(one.row)[name]),
            "Truth": lambda one: one.truth,
            "Verdict": lambda one: one.code,
            **each([rule.name for rule in RULES], "Reliance, {}", _by_rule),
            "Outweighed": lambda one: one.reliance.outweighed if one.reliance else None,
        },
    )


def _by_rule(name: str, one: JudgedCase) -> str | None:
    return None if one.reliance is None else "; ".join(getattr(one.reliance, name)) or "right"


def _number(value: Any) -> Value:
    return Fixed(value, 2) if isinstance(value, float) else value


def _rates_picture(score: Score) -> Picture:
    rows = {BRIEF[truth]: {CLAIMED: evidence(score.of(truth))} for truth in TRUTHS if score.of(truth)}
    caption = (
        "Cases in which the verdict of the transfer matrix claims evidence, without looking at the truth, with exact "
        "95 % intervals. Above, worlds that have no non-robust feature: where the robust one cannot be turned either, "
        "every claim is a mistake. Below, worlds that have one, by how often the attack turned it."
    )
    marks = {CLAIMED: Mark("#0072b2")}
    return dots("rates", "How often evidence is claimed", "cases, %", rows, marks, caption, limits=(-3.0, 103.0))
