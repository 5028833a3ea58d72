"""What the numbers of a student's architecture allow, by rule: did robustness come with the data, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence

from raylab.experiments.robust.measure import AGAINST, LABELS, Caution, Layers, RobustSets
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, STANDARD
from raylab.report.blocks import Verdict
from raylab.report.claims import NOT_BUILT, not_built, one_seed
from raylab.report.numbers import percent, points, share
from raylab.report.per_seed import PerSeed
from raylab.report.read import in_brief
from raylab.report.values import Badge, Plain, format_value

LEARNED = 0.5  # of the way from chance to the accuracy of D's student: what a student of D_R must have learned
SPELLED = {"filtered": "D with the spectrum of D_R"}


def verdicts(found: RobustSets) -> tuple[Verdict, ...]:
    """A verdict for each architecture of a student."""
    return tuple(verdict(found, student) for student in found.config.students)


def answer(found: RobustSets) -> Verdict:
    """The verdict on the study: with which architectures robustness came with the data. Of one architecture its own."""
    judged = verdicts(found)
    if len(judged) == 1:
        return judged[0]
    badges = list(dict.fromkeys(one.badge for one in judged))
    if badges == [NOT_BUILT]:
        return Verdict(found.title, NOT_BUILT, "No network that this verdict needs was built.")
    won = [_beside(found, one) for one in judged if one.badge.look == "good"]
    lost = [_beside(found, one, len(badges) > 1) for one in judged if one.badge.look != "good"]
    mixed = Badge("warn", f"came with the data: {len(won)} of {len(judged)}" if won else "not shown")
    against = _and([SPELLED.get(of, LABELS[of]) for of in AGAINST if of in found.sets])
    student = f"At radius {found.config.eps:g} the student of D_R"
    more = f"more robust accuracy than those of {against}"
    sentence = f"{student} has {more}: {_and(won)}." if won else f"{student} is not shown to have {more}: {_and(lost)}."
    rest = f" That is not shown with {_and(lost)}." if won and lost else ""
    return Verdict(found.title, badges[0] if len(badges) == 1 else mixed, f"{sentence}{rest}")


def verdict(found: RobustSets, student: str) -> Verdict:
    """Robustness came with the data where D_R's student is more robust, over seeds and paired, than those of D, D_NR
    and the filtered D, has learned its task, and nothing casts doubt on its set or on the attack."""
    above = found.above(student)
    needed = [found.network("r_image", student).accuracy, found.network(CLEAN, student).accuracy, *above.values()]
    if not all((*needed, found.robust(ADVERSARIAL, found.config.source))):
        return not_built(student)
    got = (
        f"At radius {found.config.eps:g} the student of D_R has a robust accuracy of "
        f"{_robust(found, 'r_image', student)}"
    )
    numbers = f"{got}, that of D {_robust(found, CLEAN, student)}"
    if undecided := one_seed(student, numbers, above.values()):
        return undecided
    if doubt := _doubt(found, student):
        return Verdict(student, Badge("warn", doubt[0]), f"{numbers}. {doubt[1]}")
    if failed := _not_above(found, student, above):
        return Verdict(student, Badge("warn", failed[0]), f"{numbers}. {failed[1]}")
    missing = [LABELS[of] for of in AGAINST if of not in above]
    more = _and([f"{points(above[of].mean)} above {LABELS[of]}" for of in AGAINST if of in above])
    unasked = f" {_and(missing)} {'was' if len(missing) == 1 else 'were'} not run." if missing else ""
    # Whether it took a network at all: where robust features are the low frequencies, a blur keeps them too.
    blur = f" A blur of D gives {_robust(found, 'blurred', student)}." if "blurred" in above else ""
    return Verdict(
        student,
        Badge("good", "came with the data"),
        f"Robustness came with the data. {got} and is right on "
        f"{percent(found.network('r_image', student).accuracy.mean)} of clean images; that is {more}. Adversarial "
        f"training of the source reaches {_robust(found, ADVERSARIAL, found.config.source)}.{blur}{unasked}",
    )


def _doubt(found: RobustSets, student: str) -> tuple[str, str] | None:
    """The words and sentence of what forbids any statement, if anything does."""
    if collapsed := (*found.standard_collapse, *found.reference.collapse):
        return "source failed", f"It means nothing: {_first(collapsed)}."
    if doubts := [one for of in found.inverted if of.set in ("r_image", "nr_image") for one in of.doubts]:
        return "set in doubt", f"{doubts[0].where} is in doubt: {_first(doubts)}."
    if warnings := found.network("r_image", student).warnings:
        return "attack in doubt", f"The attack may be blinded: {_first(warnings)}."
    chance, won = 1 / len(found.class_names), found.network("r_image", student).accuracy.mean
    needed = chance + LEARNED * (found.network(CLEAN, student).accuracy.mean.mean - chance)
    if won.mean < needed:
        asked = f"{percent(won)} on clean images, where {share(needed, 0)} % are asked"
        return "not learned", f"It has not learned its task: {asked}."
    return None


def _not_above(found: RobustSets, student: str, above: dict[str, PerSeed]) -> tuple[str, str] | None:
    """The words and sentence of the comparisons that the student of D_R does not win, if there are any."""
    failed = [of for of in AGAINST if of in above and not above[of].is_above()]
    if failed and failed != ["filtered"]:
        listed = _and([f"{LABELS[of]} ({points(above[of].mean)})" for of in failed])
        return "not shown", f"That robustness came with the data is not shown: it is not above {listed}."
    for of, words, what in (
        ("filtered", "no more than spectrum", "with the spectrum of D_R, which knows nothing else of a network,"),
        ("blurred", "no more than a blur", "blurred as D_R,"),
    ):
        if of in above and not above[of].is_above():
            comma = "" if of == "filtered" else ","
            return words, (
                f"But that of D{comma} {what} has {_robust(found, of, student)}: D_R is not shown to add to that "
                f"({points(above[of].mean)})."
            )
    return None


def of_layers(layers: Layers) -> str:
    """Adversarial training makes the layers more robust where the whole 95 % interval of the difference in R(f), of
    the layer that moves farthest, is below 0; less robust where it is above 0."""
    standard, adversarial = layers.worst[STANDARD], layers.worst[ADVERSARIAL]
    if not (standard and adversarial):
        return "Not judged: a network that this needs was not built."
    low, high = layers.above.interval
    words = "That adversarial training makes the layers more robust is not shown"
    if high < 0 or low > 0:
        words = f"Adversarial training makes the layers {'more' if high < 0 else 'less'} robust"
    return (
        f"{words}: the layer that moves farthest has R = {format_value(Plain(adversarial, 3))} with it and "
        f"{format_value(Plain(standard, 3))} without, {format_value(Plain(layers.ratio, 1))} times as much."
    )


def _beside(found: RobustSets, one: Verdict, why: bool = False) -> str:
    """A student with its robust accuracy and that of D's."""
    got, plain = _robust(found, "r_image", one.subject), _robust(found, CLEAN, one.subject)
    return f"{one.subject} ({f'{one.badge.words}: ' if why else ''}{got}, of D {plain})"


def _robust(found: RobustSets, of: str, student: str) -> str:
    return percent(found.robust(of, student).mean)


def _first(cautions: Sequence[Caution]) -> str:
    """The first sentence, and how many more there are."""
    more = f" (and {len(cautions) - 1} more like it)" if len(cautions) > 1 else ""
    return in_brief(cautions[0].text).rstrip(".") + more


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
