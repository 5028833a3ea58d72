"""The rules of fields that several experiments have, as people read them."""

from __future__ import annotations

import pytest

from raylab.config import Config, ConfigError, load, to_yaml
from raylab.report.experiments import EXPERIMENTS, Name


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("poison", "trigger: {eps: [1.6, 0.8]}", "f:1: trigger.eps: increasing, each once, got [1.6, 0.8]; sort them"),
        ("controls", "kinds: [det, det]", "f:1: kinds: each at most once, got ['det', 'det']"),
        ("erm", "more_data:\n  rows: [9, 5]", "f:2: more_data.rows: increasing, each once, got [9, 5]; sort them"),
        (
            "transfer_matrix",
            "students:\n  det: {adversary: {eps: 0.5}}",
            "f:2: students.det.adversary: trained in the standard way, got an adversary; remove it",
        ),
        (
            "robust_features",
            "student_on:\n  r_image: {adversary: {eps: 0.5}}",
            "f:2: student_on.r_image.adversary: trained in the standard way, got an adversary; remove it",
        ),
        (
            "controls",
            "robust: {epochs: 2}",
            "f:1: robust.adversary: trained against one, got none; give its norm and eps",
        ),
        (
            "poison",
            "attack: {norm: linf, eps: 0.1}\nrobust: {adversary: {eps: 0.5}}\nrobustness: null",
            "f:2: robust.adversary.norm: the attack's, linf, got l2",
        ),
        ("fourier", "network_lr: {}", "f:1: network_lr: unknown key; did you mean network?"),
        ("controls", "network_lr:\n  mlp: 0.0", "f:2: network_lr.mlp: must be greater than 0, got 0.0"),
    ],
)
def test_a_rule_names_the_field_its_line_and_the_remedy(name: Name, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(EXPERIMENTS[name].config, text, origin="f")
    assert refused.value.problems == [said]


def test_rules_of_several_fields_are_all_listed_at_once() -> None:
    text = "kinds: [det, det]\ntrain: {adversary: {eps: 0.5}}\nrobust: {adversary: {norm: linf, eps: 0.1}}\n"
    with pytest.raises(ConfigError) as refused:
        load(EXPERIMENTS["controls"].config, text, origin="f")
    assert [line.split(":")[:3] for line in refused.value.problems] == [
        ["f", "1", " kinds"],
        ["f", "2", " train.adversary"],
        ["f", "3", " robust.adversary.norm"],
    ]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_default_keeps_its_own_rules(name: Name) -> None:
    """pydantic takes defaults as they are; what it says of the same values in a file is asked here."""
    config: type[Config] = EXPERIMENTS[name].config
    assert load(config, to_yaml(config())) == config()
