"""The command of a row is at its published protocol; whatever changes data, networks, attack or training is not."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rows import matrix, row, with_config

from raylab.config import load
from raylab.core.statistics import Estimate
from raylab.experiments.controls import ControlStudy
from raylab.experiments.controls import scoreboard as of_controls
from raylab.experiments.poison import PoisonStudy
from raylab.experiments.poison import scoreboard as of_poison
from raylab.experiments.robust import RobustFeatures
from raylab.experiments.robust import scoreboard as of_robust
from raylab.experiments.transfer import Matrix, Row, TransferMatrix
from raylab.experiments.transfer import protocol as of_transfer
from raylab.report.per_seed import PerSeed
from raylab.scoreboard import recipes
from raylab.scoreboard.rows import all_rows

ROOT = Path(__file__).parents[2]


def command(number: int, model: Any, *changes: str) -> Any:
    """The config that a row's command loads, with more changes."""
    _, file, *own = shlex.split(all_rows()[number - 1].run.command)
    return load(model, ROOT / file, [*own, *changes])


def whole(rows: list[Row], config: TransferMatrix) -> Matrix:
    """Of the whole data set."""
    return replace(with_config(matrix(rows), config), training_rows=50_000)


def of_matrix(number: int, judge: Callable[..., str], kind: str, *changes: str, source: str = "resnet50") -> str:
    one = row(source, source, kind)
    return judge(whole([one], command(number, TransferMatrix, *changes)), one)


def rand(*changes: str) -> str:
    return of_matrix(1, lambda m, r: of_transfer.of_pair(m, r, recipes.RAND), "rand", *changes)


def det(*changes: str) -> str:
    return of_matrix(2, lambda m, r: of_transfer.of_pair(m, r, recipes.DET), "det", *changes)


def robust_source(*changes: str) -> str:
    return of_matrix(4, of_transfer.of_robust, "det", *changes)


def imagenet(*changes: str) -> str:
    return of_matrix(5, of_transfer.of_imagenet, "rand", *changes)


def architectures(*changes: str) -> str:
    config = command(16, TransferMatrix, *changes)
    return of_transfer.of_architectures(whole([row()], config), config.sources, config.targets)


def table(number: int, *changes: str) -> Any:
    config = command(number, RobustFeatures, *changes)
    return SimpleNamespace(config=config, note="", training_rows=50_000, attacked=config.robustness.rows or 10_000)


def adversarial(*changes: str) -> str:
    made = table(8, *changes)
    return of_robust._protocol(made, (made.config.source,), of_robust._source(made, recipes.ADVERSARIAL))


def linf(*changes: str) -> str:
    made = table(9, *changes)
    return of_robust._protocol(made, (made.config.source,), of_robust._source(made, recipes.LINF))


def d_r(*changes: str) -> str:
    return of_robust._of_set(table(10, *changes), "resnet50", "r_image")


def d_nr(*changes: str) -> str:
    return of_robust._of_set(table(11, *changes), "resnet50", "nr_image")


def from_noise(*changes: str) -> str:
    return of_robust._of_set(table(12, *changes), "resnet50", "nr_noise")


def study(number: int, *changes: str) -> Any:
    config = command(number, ControlStudy, *changes)
    return SimpleNamespace(config=config, note="", training_rows=50_000)


def goh(*changes: str) -> str:
    return of_controls._goh(study(28, *changes))


def park(*changes: str) -> str:
    return of_controls._park(study(43, *changes))


def jordan(*changes: str) -> str:
    """His schedule is none of ours, so nothing of ours is at his protocol: what else differs."""
    said = of_controls._jordan(study(42, *changes))
    assert said.endswith(recipes.TRIANGLE)
    return said.removesuffix(recipes.TRIANGLE).removesuffix("; ")


def bugs(*changes: str, number: int = 30) -> str:
    return of_controls._nakkiran(study(number, *changes))


def bugs_linf(*changes: str) -> str:
    return bugs(*changes, number=29)


def poisoned(*changes: str) -> str:
    config = command(44, PoisonStudy, *changes)
    found: Any = SimpleNamespace(config=config, note="", training_rows=50_000)
    return of_poison._protocol(found)


ATTACK = ["attack.eps=0.25", "attack.steps=50", "attack.step_size=0.2"]
PART = "data.per_class=500"
CHANGES: dict[Callable[..., str], list[str]] = {
    rand: [
        *ATTACK,
        PART,
        "train.epochs=151",
        "students.rand.lr=0.1",
        "students.rand=null",
        "network_lr={resnet50: 0.2}",
    ],
    det: [*ATTACK, PART, "train.weight_decay=0.0", "students.det.augment=crop_flip"],
    robust_source: [
        *ATTACK,
        "controls.robust.recipe.adversary.ramp=0.6",
        "controls.robust.recipe.adversary.eps=0.25",
        "students.rand.lr=0.1",
    ],
    imagenet: ["attack.eps=0.5", "students.rand.batch_size=128", "students.det.lr=0.1", "train.lr=0.2"],
    architectures: [*ATTACK, "targets=[vgg16, resnet50, resnet18]", "students.det.lr=0.01", "network_lr={vgg16: 0.01}"],
    adversarial: [
        PART,
        "adversarial.adversary.eps=0.25",
        "adversarial.adversary.ramp=0.6",
        "adversarial.adversary.steps=10",
        "adversarial.epochs=151",
        "robustness.rows=1000",
        "robustness.pgd_steps=10",
        "source=resnet18",
    ],
    linf: ["adversarial.adversary.eps=0.0157", "adversarial.adversary.ramp=0.6", "adversarial.lr=0.05", "source=vgg16"],
    d_r: ["from_image.steps=100", "adversarial.lr=0.05", "student.lr=0.05", "student_on={r_image: {epochs: 3}}"],
    d_nr: ["from_image.step_size=1.0", "train.lr=0.05", "student.lr=0.05", PART],
    from_noise: ["from_noise.steps=1000", "train.lr=0.05", "student.augment=none"],
    goh: [*ATTACK, PART, "source=resnet18", "robust.adversary.eps=0.5", "train.epochs=151"],
    park: ["attack.eps=0.5", PART, "student=resnet9", "train.epochs=151"],
    jordan: ["top_eps=0.25", "attack.steps=50", "top_share=0.3", "student=resnet18", "train.lr=0.1", PART],
    bugs: [
        "bugs.attack.eps=1.0",
        "bugs.attack.steps=20",
        "bugs.attack.step_size=0.6",
        "bugs.ensemble=[resnet18]",
        "bugs.student=vgg16",
        "bugs.train.epochs=151",
    ],
    bugs_linf: ["bugs.attack.eps=0.05", "bugs.attack.step_size=0.01", "bugs.train.lr=0.01"],
    poisoned: ["attack.steps=10", "train.milestones=[50, 100]", "robust.adversary.ramp=0.6", "victim=resnet18", PART],
}


@pytest.mark.parametrize("protocol", CHANGES, ids=lambda one: one.__name__)
def test_the_command_of_a_row_is_at_its_published_protocol(protocol: Callable[..., str]) -> None:
    assert protocol() == ""


@pytest.mark.parametrize(
    ("protocol", "change"),
    [(protocol, change) for protocol, changes in CHANGES.items() for change in changes],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_whatever_is_changed_is_another_protocol(protocol: Callable[..., str], change: str) -> None:
    assert protocol(change) != ""


def test_the_controls_of_a_matrix_are_not_at_the_protocol_of_others() -> None:
    """Leakage alone was published for a ResNet-9, not for the ResNet-50 of row 1."""
    said = of_matrix(1, of_transfer.of_jordan, "rand")
    assert said.startswith("resnet50; ")
    assert recipes.TRIANGLE in said


def test_row_14_is_told_by_robust_features_of_restricted_imagenet() -> None:
    made = table(14)

    def measured(mean: float) -> Any:
        of = PerSeed({seed: Estimate(mean, 0.01, 100, 1) for seed in (0, 1)})
        return SimpleNamespace(accuracy=of, at={0.5: SimpleNamespace(pgd=of, worst=of)})

    networks = {"clean": measured(0.2), "r_image": measured(0.7)}
    made.network, made.reference = lambda name, _: networks[name], measured(0.92)
    told = list(of_robust._imagenet(made, "resnet50"))
    assert {one.protocol for one in told} == {""}
    assert {one.name for one in told} == {*all_rows()[13].published, *all_rows()[13].criteria}
    by_name = {one.name: one.ours.mean for one in told}
    assert by_name["adversarial above D_R"] == pytest.approx(0.22)
    assert by_name["D_R above standard"] == pytest.approx(0.5)
