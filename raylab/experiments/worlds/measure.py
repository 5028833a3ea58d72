"""The verdict and the networks of every case against the truth of its worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from raylab.core.flips import flippable
from raylab.core.seefar import World
from raylab.engine.artifact import Artifact
from raylab.engine.study import Built
from raylab.experiments import transfer
from raylab.experiments.transfer import RULE, TRANSFER, Matrix, Row, Thresholds, TransferCell, TransferMatrix
from raylab.experiments.worlds import reliance
from raylab.experiments.worlds.config import WorldStudy
from raylab.experiments.worlds.plan import SAYS_NOTHING, WorldsCell, cases
from raylab.experiments.worlds.reliance import Alone, CaseAnswers, Conflict
from raylab.report.per_seed import PerSeed
from raylab.report.values import Rate
from raylab.stages.dataset import SeeFarData

Truth = Literal["without", "robust_turns", "turned", "partly", "not_turned"]
ROBUST = 0.05  # share of images whose robust feature the radius may turn: beyond it the feature itself is not robust
TURNED = 0.9  # share of the set's images whose non-robust feature the oracle reads as the target's
TRUTHS: dict[Truth, str] = {
    "without": "nothing to find, and the robust feature cannot be turned",
    "robust_turns": "nothing to find, but the robust feature can be turned in some",
    "turned": "non-robust features tell, turned in at least 90 %",
    "partly": "non-robust features tell, turned in 50 to 90 %",
    "not_turned": "non-robust features tell, turned in less than half",
}
# What a case was drawn from.
REGIONS: dict[str, Callable[[TransferMatrix], Any]] = {
    "radius": lambda c: c.attack.eps,
    "networks": lambda c: f"{c.sources[0]} → {c.targets[0]}",
    "training images": lambda c: getattr(c.data, "train_rows", 0),
    "epochs": lambda c: c.train.epochs,
    "non-robust amplitude": lambda c: getattr(c.data, "toogit_amplitude", 0.0),
    "non-robust reliability": lambda c: getattr(c.data, "toogit_reliability", 0.0),
    "robust amplitude": lambda c: getattr(c.data, "shape_amplitude", 0.0),
}


class WrongReliance(NamedTuple):
    """What is wrong with the feature reliance of one case, by either rule of `reliance`; nothing where it is right."""

    most: tuple[str, ...]
    at_all: tuple[str, ...]
    outweighed: str | None  # of a claim of evidence in which non-robust features do not decide most


@dataclass(frozen=True)
class JudgedCase:
    """What was measured of a case, what is true by the oracles, and the verdict, which does not know that."""

    name: str
    config: TransferMatrix
    row: Row
    truth: Truth
    code: str  # the words of its badge
    failed_conditions: tuple[str, ...]
    reliance: WrongReliance | None = None  # None: it was not asked for

    @property
    def evidence(self) -> bool:
        return self.code == "evidence"


@dataclass(frozen=True)
class Score:
    """One study's result."""

    config: WorldStudy
    judged: tuple[JudgedCase, ...]
    unbuilt: tuple[str, ...] = ()  # names of cases that lack a part
    matrices: Mapping[str, Matrix] = field(default_factory=dict)  # of the others, by case

    def of(self, truth: Truth) -> tuple[JudgedCase, ...]:
        return tuple(one for one in self.judged if one.truth == truth)

    @property
    def mistakes(self) -> tuple[JudgedCase, ...]:
        """Evidence where there is nothing, and no evidence where non-robust features were turned."""
        wrong = {"without": True, "turned": False}
        return tuple(one for one in self.judged if one.evidence == wrong.get(one.truth))

    @property
    def outweighed(self) -> list[tuple[JudgedCase, str]]:
        """The claims of evidence in which non-robust features do not decide most."""
        return [(one, one.reliance.outweighed) for one in self.judged if one.reliance and one.reliance.outweighed]


def code(of: Row, rule: Thresholds = RULE) -> str:
    """The badge of the verdict that every transfer matrix gets: "evidence", or another."""
    return transfer.verdict(of, rule=rule).badge.words


def _failed_conditions(of: Row) -> tuple[str, ...]:
    """What keeps a row from being evidence: half sentences."""
    return tuple(f"{one.words} ({one.numbers})" if one.numbers else one.words for one in transfer.failed_conditions(of))


def numbers(of: Row) -> dict[str, PerSeed]:
    """By the headers of a table."""
    assert of.robust is not None  # a case has the control
    return {
        "Accuracy": of.accuracy,
        "Next-class rate (p1)": of.p1,
        "Attack success rate": of.success,
        "On the robust source": of.robust.success,
        "Accuracy when trained on its set": of.controls["robust"],
        "Targeted transfer": of.transfer[TRANSFER],
        "Non-robust feature turned": of.oracles["turned"],
        "Robust feature kept": of.oracles["kept"],
    }


def evidence(judged: Sequence[JudgedCase]) -> Rate:
    """How often it was claimed."""
    return Rate(sum(one.evidence for one in judged), len(judged))


def measure(built: Built[WorldStudy, WorldsCell]) -> Score:
    """Every case of which all parts were built."""
    by_case: dict[str, dict[TransferCell, Artifact]] = {}
    for cell, artifact in built.artifacts.items():
        by_case.setdefault(cell.case, {})[cell.of_matrix] = artifact
    unbuilt = dict.fromkeys(cell.case for cell in built.missing)
    drawn = {name: case for name, case in cases(built.config).items() if name not in unbuilt}
    matrices = {name: transfer.measure(Built(case, built.key, by_case[name])) for name, case in drawn.items()}
    judged = {name: judge(name, case, matrices[name].rows[0]) for name, case in drawn.items()}
    asked = judged if built.config.reliance else {}
    wrong = _by_rules({name: _answers(one, by_case[name]) for name, one in asked.items()})
    found = tuple(replace(one, reliance=wrong.get(name)) for name, one in judged.items())
    return Score(built.config, found, tuple(unbuilt), matrices)


def judge(name: str, case: TransferMatrix, row: Row) -> JudgedCase:
    truth = truth_of(row, _world(case), case.attack.eps, case.seeds)
    return JudgedCase(name, case, row, truth, code(row), _failed_conditions(row))


def truth_of(row: Row, data: SeeFarData, eps: float, seeds: Sequence[int]) -> Truth:
    """By the oracles alone: whether anything that tells the label could be, or was, turned at this radius.

    The robust feature counts as robust where at most 5 % of the images have one that the radius may turn to its next
    class, in the worst of the worlds.
    """
    if data.toogit_amplitude == 0.0 or data.toogit_reliability <= SAYS_NOTHING:
        turns = max(flippable(data.world(seed), "shape", eps) for seed in seeds)
        return "without" if turns <= ROBUST else "robust_turns"
    turned = row.oracles["turned"].mean.mean
    return "turned" if turned >= TURNED else "partly" if turned >= 0.5 else "not_turned"


def _answers(one: JudgedCase, artifacts: Mapping[TransferCell, Artifact]) -> CaseAnswers:
    """Of its networks and of the oracles."""
    (source,), (target,), seeds = one.config.sources, one.config.targets, one.config.seeds

    def columns(role: str, seed: int, *network: str) -> Mapping[str, Any]:
        return artifacts[TransferCell(role, seed, *network)].without_images()

    student = (source, target, "det")
    read = [artifacts[TransferCell("oracles", seed)].metrics for seed in seeds]
    has_features = _world(one.config).toogit_amplitude > 0
    return CaseAnswers(
        source=[Conflict.of(columns("usage", seed, source)) for seed in seeds],
        student=[Conflict.of(columns("usage", seed, *student)) for seed in seeds],
        source_alone=[Alone.of(columns("alone", seed, source)) for seed in seeds],
        student_alone=[Alone.of(columns("alone", seed, *student)) for seed in seeds],
        robust_right=[metrics["shape_right"] for metrics in read],
        non_robust_right=[metrics["toogit_right"] for metrics in read] if has_features else [],
        says_nothing=one.truth in ("without", "robust_turns"),
        turned=one.truth == "turned",
        evidence=one.evidence,
    )


def _by_rules(answers: Mapping[str, CaseAnswers]) -> dict[str, WrongReliance]:
    """Every case by both rules; each rule's comparisons with chance share its level."""
    classes = World.num_classes
    most = sum(case.comparisons for case in answers.values())
    at_all = sum(case.comparisons_at_all for case in answers.values())
    return {
        name: WrongReliance(
            reliance.most(case, classes, most), reliance.at_all(case, classes, at_all), reliance.outweighed(case)
        )
        for name, case in answers.items()
    }


def _world(case: TransferMatrix) -> SeeFarData:
    assert isinstance(case.data, SeeFarData)
    return case.data
