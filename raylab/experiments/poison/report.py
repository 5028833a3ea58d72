"""The report on the poisons: the answer, tables and figures, each said once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from raylab.experiments.poison.measure import FEATURES, LABELS, Key, Poisons, trigger_label
from raylab.experiments.poison.plan import CLEAN, DEFENCES, Defence, PoisonCell
from raylab.experiments.poison.verdict import answer, defended, lost, verdicts
from raylab.report import samples
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each, note
from raylab.report.charts import Mark, dots, images, lines, reliance, stacked
from raylab.report.drawing import Pixels, seeds_phrase
from raylab.report.numbers import percent, share
from raylab.report.per_seed import PerSeed
from raylab.report.picture import Picture
from raylab.report.significance import EVERY_TEST, paired_tests
from raylab.report.values import Fixed, Singles
from raylab.tracking import Param

TRAINING: dict[Defence, str] = {"standard": "standard training", "adversarial": "adversarial training"}
ATTACKED = "the same, under attack"
MARKS = {
    "standard training": Mark("#d55e00", "^"),
    "adversarial training": Mark("#0072b2", "o"),
    ATTACKED: Mark("#0072b2", "o", hollow=True),
}
# Tao et al. 2021, table 1: VGG-16 on CIFAR-10, mean and standard deviation of accuracy in percent.
PUBLISHED = {
    ("p1", "standard"): "37.87 ± 0.94",
    ("p1", "adversarial"): "86.59 ± 0.30",
    ("p2", "standard"): "74.24 ± 1.32",
    ("p2", "adversarial"): "89.50 ± 0.21",
    ("p3", "standard"): "15.14 ± 2.10",
    ("p3", "adversarial"): "88.12 ± 0.39",
    ("p4", "standard"): "23.69 ± 2.98",
    ("p4", "adversarial"): "88.15 ± 0.15",
    ("p5", "standard"): "11.76 ± 0.72",
    ("p5", "adversarial"): "88.12 ± 0.43",
}
NAKKIRAN = "43.7"  # says y - 1 after training on P1, in percent (Distill 2019, addendum; L2 of another size)


def report(found: Poisons) -> Report:
    return Report(
        found.title,
        answer(found),
        tuple(_blocks(found)),
        _accuracy(found),
        "victims",
        {f"lost/{of}": lost(found, of).mean.mean for of in found.sets if of != CLEAN},
    )


def _blocks(found: Poisons) -> Iterator[Block]:
    yield from note(found.note, found.collapsed)
    yield Verdicts("What the numbers allow.", verdicts(found), "Poison")
    yield Figures((_says(found), *([_by_share(found)] if found.config.shares else [])))
    yield Text("What this size can show", tuple(_size(found)), "aside")
    yield _victims(found)
    if found.config.shares:
        yield Fold("P1 on a share of the images", (_shares(found),))
    if (tested := _tests(found)).rows:
        yield Fold(EVERY_TEST, (tested,))
    yield Text("What a defender sees", look="heading")
    yield Text(
        "Whoever is given the set and looks at it, or trains on it, sees this, in percent. The nearest clean image says"
        " whether labels still fit what the images show; training accuracy is that of the last epoch, of adversarial "
        "training under its adversary; poisoned test images are poisoned in the same way."
    )
    yield Figures((_examples(found),))
    yield _set_table(found)
    if any(share for victim in found.victims.values() for share in victim.reliance.values()):
        yield Text("What is true here", look="heading")
        yield Figures((_reliance(found),))
        yield Fold("The same in numbers", (_reliance_table(found),))
    if found.triggered:
        yield Text("A planted trigger", look="heading")
        yield Figures((_trigger(found),))
        yield _trigger_table(found)


def _size(found: Poisons) -> Iterator[str]:
    c, seeds = found.config, len(found.config.seeds)
    adversary, tested = c.robust.adversary, max((one.n for one in found.source.values()), default=0)
    assert adversary is not None
    yield (
        f"{found.training_rows:,} training images a seed, under the labels of the data; accuracy on {tested:,} clean "
        f"test images; {seeds} seed{'' if seeds == 1 else 's'}. The source is right on {percent(found.source.mean)}."
    )
    yield (
        f"The adversary of the defence has radius {adversary.eps:g}, the poisons have {c.attack.eps:g}. The defence "
        "knows of no poison: it is the same training on every set."
    )
    if seeds == 1:
        yield "One seed says nothing of another network, split or world: no verdict is given."


# -- tables


def _victims(found: Poisons) -> Table:
    attacked = found.config.robustness
    return Table.of(
        "victims",
        f"Victims on clean test images, in percent, mean ± standard error{seeds_phrase(found.config.seeds)}. "
        "Published: VGG-16 on CIFAR-10, mean ± standard deviation (Tao et al. 2021, table 1).",
        product(found.sets, DEFENCES),
        {
            "Trained on": lambda at: LABELS[at[0]],
            "Training": lambda at: TRAINING[at[1]],
            "Accuracy": lambda at: found.victim(*at).accuracy,
            "Says y − 1": lambda at: found.victim(*at).previous,
            "Single seeds": lambda at: Singles(found.victim(*at).accuracy),
            "Lost to the poison, points": lambda at: None if at[0] == CLEAN else lost(found, *at),
            "Above standard training, points": lambda at: defended(found, at[0]) if at[1] == "adversarial" else None,
            f"Robust{f', {attacked.eps[0]:g}' if attacked else ''}": lambda at: found.victim(*at).robust,
            **each(found.config.evaluate_on or (), "On {}", lambda on, at: found.victim(*at).further[on]),
            "Published accuracy": lambda at: PUBLISHED.get(at),
            "n": lambda at: found.victim(*at).accuracy.mean.n,
        },
        keys=2,
        bold="Accuracy",
    )


def _tests(found: Poisons) -> Table:
    poisons = [of for of in found.sets if of != CLEAN]
    compared = [((LABELS[of], TRAINING[how], "lost to it"), lost(found, of, how)) for of in poisons for how in DEFENCES]
    compared += [((LABELS[of], TRAINING["adversarial"], "above standard"), defended(found, of)) for of in poisons]
    for key, one in found.triggered.items():
        words = (trigger_label(key.of, key.eps), TRAINING[key.defence], "above no trigger")
        compared.append((words, one.rate - one.before))
    what = "Accuracy on clean test images, and the attack success rate of triggers: differences"
    return paired_tests(what, ("Poison", "Training", "Difference of"), compared, len(found.config.seeds))


def _set_table(found: Poisons) -> Table:
    seen = found.sets_seen
    victims = {of: [found.victim(of, defence) for defence in DEFENCES] for of in found.sets}
    names = dict.fromkeys(name for one in seen.values() for name in one.oracles)
    return Table.of(
        "sets",
        "Of each set, and of both trainings on it.",
        found.sets,
        {
            "Set": lambda of: LABELS[of],
            "L2 size": lambda of: _fixed(seen[of].l2),
            "Largest pixel": lambda of: _fixed(seen[of].linf),
            "Nearest clean image has the label": lambda of: seen[of].nearest,
            "Training accuracy": lambda of: victims[of][0].training,
            "Poisoned test images": lambda of: victims[of][0].heldout,
            "Training accuracy, adversarial": lambda of: victims[of][1].training,
            "Poisoned test images, adversarial": lambda of: victims[of][1].heldout,
            "Attack success rate on the source": lambda of: seen[of].success,
            **each(names, "Oracle: {}", lambda name, of: seen[of].oracles[name]),
        },
    )


def _shares(found: Poisons) -> Table:
    victims = {p: [found.victim("p1", defence, p) for defence in DEFENCES] for p in sorted({*found.config.shares, 1.0})}
    return Table.of(
        "shares",
        "Accuracy on clean test images by the share of training images that P1 perturbs, in percent.",
        victims.items(),
        {
            "Share, %": lambda row: Fixed(100 * row[0], 0),
            "Standard": lambda row: row[1][0].accuracy,
            "Says y − 1": lambda row: row[1][0].previous,
            "Training accuracy": lambda row: row[1][0].training,
            "Adversarial": lambda row: row[1][1].accuracy,
            "Says y − 1, adversarial": lambda row: row[1][1].previous,
            "Training accuracy, adversarial": lambda row: row[1][1].training,
        },
    )


def _reliance_table(found: Poisons) -> Table:
    return Table.of(
        "reliance",
        "Share of images in which a victim says what each feature says, in percent.",
        product(found.sets, DEFENCES),
        {
            "Trained on": lambda at: LABELS[at[0]],
            "Training": lambda at: TRAINING[at[1]],
            **each(FEATURES, "Says the {}", lambda name, at: found.victim(*at).reliance[name]),
        },
        keys=2,
    )


def _trigger_table(found: Poisons) -> Table:
    return Table.of(
        "trigger",
        "Attack success rate of the trigger: test images of other classes that have it and are called its target, in "
        "percent; beside them networks of the same training that never saw it, and the accuracy on clean images.",
        found.triggered.items(),
        {
            "Trigger": lambda row: trigger_label(row[0].of, row[0].eps),
            "Training": lambda row: TRAINING[row[0].defence],
            "Attack success rate": lambda row: row[1].rate,
            "Never saw it": lambda row: row[1].before,
            "Clean accuracy": lambda row: found.victims[row[0]].accuracy,
            "Says y − 1": lambda row: found.victims[row[0]].previous,
            "Training accuracy": lambda row: found.victims[row[0]].training,
            "Images planted, all seeds": lambda row: row[1].planted,
            "L2 after clipping": lambda row: Fixed(row[1].l2),
            "n": lambda row: row[1].rate.mean.n,
        },
        keys=2,
        bold="Attack success rate",
    )


def conditions(found: Poisons) -> Iterator[Condition]:
    """Every victim."""
    judged = {one.subject: one.badge.words for one in verdicts(found)}
    for key, victim in found.victims.items():
        whole = key.of in found.sets and key.share == 1.0
        metrics = {
            "accuracy/test": victim.accuracy,
            "accuracy/says_previous": victim.previous,
            "accuracy/train": victim.training,
            "accuracy/held_out": victim.heldout,
            "robust/at_radius": victim.robust,
            **{f"accuracy_on/{name}": value for name, value in victim.further.items()},
            "attack/success_rate": found.triggered[key].rate if key in found.triggered else PerSeed({}),
            "above/standard_training": defended(found, key.of) if whole else PerSeed({}),
        }
        subject = trigger_label(key.of, key.eps) if key.eps else LABELS[key.of] if whole else ""
        place = PoisonCell("network", 0, *key)
        set_of = (
            PoisonCell("data", 0) if key.of == CLEAN else PoisonCell("set", 0, key.of, share=key.share, eps=key.eps)
        )
        params: dict[str, Param] = {
            "set_kind": key.of,
            "training": key.defence,
            "share": key.share,
            "trigger_eps": key.eps,
        }
        yield Condition(params, metrics, judged.get(subject, ""), place, set_of)


def _fixed(value: float | None) -> Fixed | None:
    return None if not value else Fixed(value)


# -- figures


def _accuracy(found: Poisons) -> Picture:
    rows = {LABELS[of]: {TRAINING[d]: found.victim(of, d).accuracy for d in DEFENCES} for of in found.sets}
    asked = found.config.robustness
    if asked is not None:
        for of in found.sets:
            rows[LABELS[of]][ATTACKED] = found.victim(of, "adversarial").robust
    attack = (
        f" Hollow: robust accuracy at radius {asked.eps[0]:g} by PGD, of the adversarially trained." if asked else ""
    )
    caption = (
        "Accuracy on clean test images of networks trained on poisoned training images, whose labels are untouched. "
        f"“Clean” is training on the images as they are.{attack} Bars: standard "
        f"error{seeds_phrase(found.config.seeds)}."
    )
    return dots("accuracy", "Accuracy after training on poisoned images", "test images, %", rows, MARKS, caption)


def _says(found: Poisons) -> Picture:
    parts = {"its class y": "#0072b2", "y − 1": "#d55e00"}
    victims = {_brief(of, d): found.victim(of, d) for of, d in product(found.sets, DEFENCES)}
    rows = {name: {"its class y": one.accuracy, "y − 1": one.previous} for name, one in victims.items()}
    caption = (
        "P1 adds what belongs to class y + 1 and calls it y: who learned that from it says y − 1 where it meets the "
        f"real y. After standard training that is {percent(found.victim('p1', 'standard').previous.mean)}; Nakkiran "
        f"(Distill 2019) reports {NAKKIRAN} % on CIFAR-10."
    )
    words = "% of clean test images of class y"
    return stacked("says", "What the victims say", words, rows, parts, "another class", caption)


def _by_share(found: Poisons) -> Picture:
    portions = sorted({*found.config.shares, 1.0})
    curves = {
        TRAINING[d]: {0.0: found.victim(CLEAN, d).accuracy}
        | {100 * p: found.victim("p1", d, p).accuracy for p in portions}
        for d in DEFENCES
    }
    caption = f"The others stay as they are. Bars: standard error{seeds_phrase(found.config.seeds)}."
    x, y = "training images that P1 perturbs, %", "accuracy on clean test images, %"
    return lines("shares", "How many must be poisoned", x, y, curves, MARKS, caption)


def _reliance(found: Poisons) -> Picture:
    parts = dict(zip(FEATURES, ("#0072b2", "#e69f00", "#d55e00"), strict=True))
    rows = {_brief(of, d): found.victim(of, d).reliance for of, d in product(found.sets, DEFENCES)}
    caption = (
        "See-Far knows its features: a large robust one (its shape), which no poison of this size changes, and a faint "
        "non-robust one (its toogit), which P1 turns into that of y + 1. Shown are images on which these and the class "
        f"before the non-robust feature’s differ. Means{seeds_phrase(found.config.seeds)}."
    )
    return reliance("victim", rows, parts, caption)


def _trigger(found: Poisons) -> Picture:
    planted = dict.fromkeys((key.of, key.eps) for key in found.triggered)
    rows = {
        trigger_label(way, eps): {TRAINING[d]: found.triggered[Key(way, d, 1.0, eps)].rate for d in DEFENCES}
        for way, eps in planted
    }
    t, adversary = found.config.trigger, found.config.robust.adversary
    assert t is not None
    assert adversary is not None
    caption = (
        f"{t.side} × {t.side} pixels of changing sign in a corner. Label kept: on {share(t.share_of_target, 0)} % of "
        f"the training images of one class; label changed: on {share(t.share_of_others, 0)} % of all others, which are "
        f"then called that class. The defence has radius {adversary.eps:g}: its adversary can remove a trigger within "
        f"it. Bars: standard error{seeds_phrase(found.config.seeds)}."
    )
    words = "triggered test images of other classes called the target, %"
    return dots("trigger", "Attack success rate of the trigger", words, rows, MARKS, caption)


def _examples(found: Poisons) -> Picture:
    """The same few images in every set; beside them what was added to the first, enlarged to the whole range."""
    seed = min(cell.seed for cell in found.built.artifacts if cell.role == "data")
    cells = {of: found.built.artifacts.get(_place(of, seed)) for of in found.sets}
    sets = {of: artifact.batch(0, samples.READ_ROWS) for of, artifact in cells.items() if artifact is not None}
    chosen = samples.first_of_classes(sets[CLEAN])
    names = [found.class_names[y] for y in chosen]
    rows: dict[str, list[tuple[str, Pixels]]] = {}
    for of, batch in sets.items():
        rows[LABELS[of]] = list(zip(names, samples.pixels(batch, chosen.values()), strict=True))
        if of != CLEAN:
            delta = rows[LABELS[of]][0][1] - rows[LABELS[CLEAN]][0][1]
            rows[LABELS[of]].append(("added", 0.5 + delta / (2 * float(np.abs(delta).max()) or 1.0)))
    caption = (
        f"Seed {seed}: the first training images of {len(chosen)} classes, not chosen for looks, under the labels "
        "above them. Right: what was added to the first image, enlarged to the whole range; grey is nothing."
    )
    return images("examples", "Poisoned images", rows, caption)


def _place(of: str, seed: int) -> PoisonCell:
    return PoisonCell("data", seed) if of == CLEAN else PoisonCell("set", seed, of)


def _brief(of: str, defence: Defence) -> str:
    return f"{LABELS[of].split(' ')[0]}, {defence[:3]}."
