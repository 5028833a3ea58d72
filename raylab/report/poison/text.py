"""The poisons for the terminal, as text that fits a hundred columns, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping

from raylab.core.statistics import Estimate
from raylab.recipes.poison import CLEAN, DEFENCES
from raylab.report.estimates import mean
from raylab.report.numbers import ABSENT, number, percent, share
from raylab.report.poison.table import FOLLOWED, LABELS, Key, Poisons, Victim
from raylab.report.poison.verdict import changes, judged, trigger_label
from raylab.report.terminal import table, wrapped

# Tao et al. 2021, table 1: VGG-16 on CIFAR-10, mean and standard deviation of accuracy in percent.
PUBLISHED: Mapping[tuple[str, str], str] = {
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


def as_text(found: Poisons) -> str:
    """Every table, then what the numbers allow. Percent, ± one standard error over seeds."""
    title = found.title
    blocks = [f"{title}\n{'=' * len(title)}"]
    blocks += [wrapped(f"About the data: {found.note}")] if found.note else []
    blocks.append("\n".join(wrapped(line, "- ") for line in notes(found)))
    blocks.append(f"victims on clean test images, %\n{_victims(found)}")
    blocks.append(f"what a defender sees, %\n{_looks(found)}")
    if found.config.shares:
        blocks.append(f"P1 on a share of the images: accuracy, and says y - 1, %\n{_shares(found)}")
    if any(victim.usage for victim in found.victims.values()):
        blocks.append(f"whom a victim follows where shape and toogit disagree, %\n{_usage(found)}")
    if found.obeyed:
        blocks.append(f"triggered test images of other classes called the target, %\n{_obeyed(found)}")
    if found.collapsed:
        blocks.append("Warnings\n" + "\n".join(wrapped(line, "- ") for line in found.collapsed))
    lines = [wrapped(f"{label} [{one.badge}]: {one.sentence}", "- ") for label, one in judged(found)]
    return "\n\n".join([*blocks, "What the numbers allow\n" + "\n".join(lines)]) + "\n"


def notes(found: Poisons) -> list[str]:
    """What a run of this size can show."""
    c, seeds = found.config, len(found.config.seeds)
    first = found.victim(CLEAN, "standard")
    trained = found.artifacts[next(cell for cell in found.artifacts if cell.role == "data")].rows
    adversary = c.robust.adversary
    assert adversary is not None
    said = [
        f"{trained:,} training images a seed, under the labels of the data; accuracy on {first.accuracy.n // seeds:,} "
        f"clean test images; {seeds} seed{'' if seeds == 1 else 's'}. The source is right on {percent(found.source)}.",
        f"The adversary of the defence has radius {adversary.eps:g}, the poisons have {c.attack.eps:g}. The defence "
        "knows of no poison: it is the same training on every set.",
    ]
    if seeds == 1:
        said.append("One seed says nothing of another network, split or world: no verdict is given.")
    return said


def robust(victim: Victim) -> Estimate | None:
    """Robust accuracy over seeds."""
    return None if victim.robust is None else mean(list(victim.robust.values()))


def _victims(found: Poisons) -> str:
    lines = []
    for of in found.sets:
        for defence in DEFENCES:
            victim = found.victim(of, defence)
            lines.append(
                [
                    f"{LABELS[of]}, {defence}",
                    number(victim.accuracy),
                    number(victim.previous),
                    " ".join(share(seed.mean) for seed in victim.by_seed.values()),
                    _number(robust(victim)),
                    PUBLISHED.get((of, defence), ABSENT),
                ]
            )
    return table(["set, training", "accuracy", "says y - 1", "single seeds", "robust", "published accuracy"], lines)


def _looks(found: Poisons) -> str:
    lines = []
    for of in found.sets:
        looks, standard, adversarial = found.looks[of], found.victim(of, "standard"), found.victim(of, "adversarial")
        lines.append(
            [
                LABELS[of],
                ABSENT if of == CLEAN else f"{looks.l2:.2f}",
                _number(looks.own),
                number(standard.training),
                _number(standard.heldout),
                number(adversarial.training),
                _number(adversarial.heldout),
                *(_number(looks.oracles.get(name)) for name in _oracles(found)),
            ]
        )
    header = ["set", "L2", "1-NN has label", "training", "held out", "training, adv.", "held out, adv."]
    return table([*header, *_oracles(found)], lines)


def _oracles(found: Poisons) -> list[str]:
    return list(dict.fromkeys(name for looks in found.looks.values() for name in looks.oracles))


def _shares(found: Poisons) -> str:
    lines = []
    for portion in sorted({*found.config.shares, 1.0}):
        standard, adversarial = (found.victims[Key("p1", defence, portion)] for defence in DEFENCES)
        numbers = (standard.accuracy, standard.previous, adversarial.accuracy, adversarial.previous)
        lines.append([share(portion, 0), *map(number, numbers)])
    return table(["share, %", "standard", "says y - 1", "adversarial", "says y - 1"], lines)


def _usage(found: Poisons) -> str:
    lines = [
        [f"{LABELS[key.of]}, {key.defence}", *(number(victim.usage[name]) for name in FOLLOWED)]
        for key, victim in found.victims.items()
        if victim.usage
    ]
    return table(["", *FOLLOWED.values()], lines)


def _obeyed(found: Poisons) -> str:
    lines = []
    for key, one in found.obeyed.items():
        victim = found.victims[key]
        lines.append(
            [
                f"{trigger_label(key.of, key.eps)}, {key.defence}",
                number(one.rate),
                number(mean(list(one.before.values()))),
                number(victim.accuracy),
                str(one.planted),
                f"{one.l2:.2f}",
            ]
        )
    return table(["", "obeyed", "never seen", "clean accuracy", "images planted", "L2 after clipping"], lines)


def as_csv(found: Poisons) -> str:
    """One line for each victim: means as shares with their standard errors. An empty cell was not measured."""
    lines = [_line(found, key, victim) for key, victim in found.victims.items()]
    names = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _line(found: Poisons, key: Key, victim: Victim) -> dict[str, object]:
    line: dict[str, object] = {**key._asdict(), "seeds": victim.accuracy.seeds}
    for name, estimate in _estimates(found, key, victim):
        line |= {name: _plain(estimate.mean), f"{name} se": _plain(estimate.se), f"{name} n": estimate.n}
    return line


def _estimates(found: Poisons, key: Key, victim: Victim) -> Iterator[tuple[str, Estimate]]:
    yield from (("accuracy", victim.accuracy), ("says y - 1", victim.previous), ("training", victim.training))
    for name, one in (("held out", victim.heldout), ("robust", robust(victim))):
        if one is not None:
            yield name, one
    yield from victim.usage.items()
    if key in found.obeyed:
        yield "obeyed", found.obeyed[key].rate
    if key.of in found.config.poisons and key.share == 1.0 and key.defence == "standard":
        by = changes(found, key.of)
        yield from (("lost", by.lost), ("adversarial minus standard", by.defended))


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _number(estimate: Estimate | None) -> str:
    return ABSENT if estimate is None else number(estimate)
