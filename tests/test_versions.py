"""When the code behind a kind of artifact changes, somebody must say whether its meaning did.

If it did, bump the version of the stage: old artifacts are then no longer found. If it did not, record so:

    python tests/test_versions.py "why the results are the same"
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "versions.json"

NETWORKS, BODIES = ("core/networks.py", "core/architectures.py"), ("core/bodies.py", "core/blocks.py")
# The files that decide what an artifact of a kind holds. Comments, docstrings and layout do not count.
CODE = {
    "data": [
        "stages/dataset.py", "stages/data_config.py", "core/seefar.py", "core/seeding.py", "data/*.py",
        "engine/columns.py",
    ],
    "probe": ["stages/dataset.py", "stages/data_config.py", "core/seefar.py", "core/seeding.py"],
    "half": ["stages/half.py", "core/seeding.py", "engine/columns.py"],
    "network": [
        "stages/training.py", "stages/recipe.py", "stages/images.py", "core/fit.py", *NETWORKS,
        *BODIES, "core/torchvision_bodies.py", "core/augment.py", "core/schedules.py", "core/seeding.py",
        "core/construct.py", "core/adversary.py", "core/pgd.py", "core/balls.py", "core/objectives.py",
        "engine/worker.py",
        "stages/architecture.py", "objects.py",
    ],
    "phased_network": [
        "stages/phases.py", "stages/training.py", "stages/recipe.py", "stages/images.py", "core/fit.py",
        *NETWORKS, *BODIES, "core/torchvision_bodies.py", "core/augment.py", "core/schedules.py",
        "core/seeding.py", "core/construct.py", "core/adversary.py", "core/pgd.py", "core/balls.py",
        "core/objectives.py", "engine/worker.py", "stages/architecture.py", "objects.py",
    ],
    "imported": [
        "stages/own.py", "stages/architecture.py", "stages/images.py", "objects.py", "core/networks.py",
        "data/checkpoints.py", "data/tensors.py",
    ],
    "checked": [
        "stages/own.py", "stages/architecture.py", "stages/images.py", "objects.py", "core/networks.py",
        "core/evaluate.py", "engine/worker.py",
    ],
    "released": [
        "stages/released.py", "stages/images.py", *NETWORKS, *BODIES, "core/torchvision_bodies.py",
        "data/tensors.py",
    ],
    "constructed": [
        "stages/construction.py", "stages/attacked.py", "stages/images.py", "core/compiled.py", "core/pgd.py",
        "core/balls.py", "core/objectives.py", "core/masking.py", "core/construct.py", "core/seeding.py",
        *NETWORKS, "engine/worker.py",
    ],
    "inverted": [
        "stages/inversion.py", "stages/attacked.py", "stages/images.py", "core/compiled.py", "core/invert.py",
        "core/last_relu.py", "core/pgd.py", "core/balls.py", "core/objectives.py", "core/seeding.py",
        *NETWORKS, *BODIES, "engine/worker.py",
    ],
    "spectrum": ["stages/spectrum.py", "core/spectra.py"],
    "filtered": ["stages/spectrum.py", "core/spectra.py", "engine/worker.py"],
    "patterns": ["stages/patterns.py", "stages/images.py", "core/patterns.py", "core/seeding.py"],
    "universal": [
        "stages/patterns.py", "stages/construction.py", "stages/images.py", "core/patterns.py", "core/seeding.py",
        "core/balls.py", "core/pgd.py", "core/objectives.py", *NETWORKS, "engine/worker.py",
    ],
    "patterned": [
        "stages/patterns.py", "stages/images.py", "core/patterns.py", "core/construct.py", "core/seeding.py",
        *NETWORKS, "engine/worker.py",
    ],
    "leakage": ["stages/leakage.py", "stages/images.py", "core/leakage.py", "core/evaluate.py", *NETWORKS],
    "evaluation": ["stages/evaluation.py", "stages/images.py", "core/evaluate.py", *NETWORKS, "engine/worker.py"],
    "robustness": [
        "stages/robustness.py", "stages/images.py", "core/robust.py", "core/masking.py", "core/balls.py",
        "core/apgd.py", "core/square.py", "core/pgd.py", "core/spatial.py", "core/objectives.py", "core/seeding.py",
        *NETWORKS, "engine/worker.py",
    ],
    "heat_map": [
        "stages/heat_map.py", "stages/images.py", "core/fourier_basis.py", "core/seeding.py", *NETWORKS,
        "engine/worker.py",
    ],
    "changed": [
        "stages/corruption.py", "stages/images.py", "core/corruptions.py", "core/blurs.py", "core/warps.py",
        "core/spatter.py", "core/frost.py", "stages/frost.py", "core/fourier_basis.py", "core/spectra.py",
        "core/seeding.py", "core/evaluate.py", *NETWORKS, "engine/worker.py",
    ],
    "frost": ["stages/frost.py", "data/decode.py"],
    "band_passed": ["stages/band.py", "core/spectra.py", "engine/worker.py"],
    "layer_robustness": [
        "stages/layer_robustness.py", "stages/images.py", "core/layers.py", "core/robust.py", "core/pgd.py",
        "core/balls.py", "core/objectives.py", "core/seeding.py", *NETWORKS, *BODIES,
        "core/torchvision_bodies.py", "engine/worker.py",
    ],
    "class_noise": ["stages/poison.py", "stages/patterns.py", "core/poison.py", "core/balls.py", "core/seeding.py"],
    "poisoned": [
        "stages/poison.py", "stages/patterns.py", "stages/images.py", "core/poison.py", "core/seeding.py",
        "engine/worker.py",
    ],
    "triggered": [
        "stages/trigger.py", "stages/images.py", "core/poison.py", "core/balls.py", "core/seeding.py",
        "engine/worker.py",
    ],
    "neighbours": [
        "stages/neighbours.py", "stages/images.py", "core/neighbours.py", "core/seeding.py", "engine/worker.py",
    ],
    "oracles": ["stages/oracles.py", "core/seefar.py", "engine/worker.py"],
    "explanation": [
        "stages/explanations.py", "stages/images.py", "core/explanations.py", "core/seefar.py", "core/seeding.py",
        *NETWORKS, "engine/worker.py",
    ],
    "perturbation": [
        "stages/explanations.py", "stages/images.py", "core/explanations.py", "core/seefar.py", "engine/worker.py",
    ],
    "labelled": ["stages/errors.py", "core/errors.py", "core/seeding.py", "engine/columns.py"],
    "tinted": ["stages/tint.py", "core/tint.py", "core/seeding.py", "engine/worker.py"],
    "matched": ["stages/matching.py", "core/seeding.py", "engine/worker.py"],
    "toy": ["stages/toy.py", "core/toy2d.py", "core/seeding.py", "engine/worker.py"],
    "gaussian_theory": ["stages/theory.py", "stages/quantities.py", "core/gaussian.py", "core/seeding.py"],
    "adversarial_squares": [
        "stages/theory.py", "stages/quantities.py", "core/squares.py", "core/seeding.py", "core/pgd.py",
        "core/balls.py",
    ],
    "synthetic": [
        "stages/theory.py", "stages/quantities.py", "core/synthetic.py", "core/gaussian.py", "core/seeding.py",
    ],
    "two_layer": [
        "stages/two_layer.py", "stages/quantities.py", "core/two_layer.py", "core/philox.py", "core/gaussian.py",
        "core/seeding.py", "engine/worker.py",
    ],
    "usefulness": ["stages/usefulness.py", "stages/quantities.py", "stages/images.py", "core/usefulness.py"],
}  # fmt: skip


def meaning(path: Path) -> str:
    """The code without comments, docstrings and layout."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Expr(ast.Constant(...))
    return ast.dump(tree)


def code(kind: str) -> str:
    total = hashlib.sha256()
    for pattern in CODE[kind]:
        paths = sorted((ROOT / "raylab").glob(pattern))
        assert paths, f"{pattern} names no file"
        for path in paths:
            total.update(meaning(path).encode())
    return total.hexdigest()[:16]


def versions() -> dict[str, int | str]:
    """The version of each kind as its factory writes it: Stage("kind", version, ...); an expression as its source."""
    found: dict[str, int | str] = {}
    for path in (ROOT / "raylab" / "stages").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Stage":
                kind, version = node.args[:2]
                assert isinstance(kind, ast.Constant)
                number = isinstance(version, ast.Constant)
                found[str(kind.value)] = int(ast.literal_eval(version)) if number else ast.unparse(version)
    return found


def current() -> dict[str, dict[str, object]]:
    return {kind: {"version": version, "code": code(kind)} for kind, version in sorted(versions().items())}


def test_every_kind_of_stage_lists_its_code() -> None:
    assert set(versions()) == set(CODE)


def test_changed_code_has_a_new_version_or_a_stated_reason() -> None:
    recorded = json.loads(RECORD.read_text())["kinds"]
    undecided = [kind for kind, now in current().items() if recorded.get(kind) != now]
    assert undecided == [], (
        f"the code behind {', '.join(undecided)} changed. Did its results? Then bump the version in its factory. And "
        'record it: python tests/test_versions.py "why"'
    )


def test_layout_and_comments_are_not_meaning_and_numbers_are(tmp_path: Path) -> None:
    def of(text: str) -> str:
        (tmp_path / "x.py").write_text(text)
        return meaning(tmp_path / "x.py")

    assert of('"""Doc."""\nx = 1  # why') == of('"""Other."""\n\nx   =  1')
    assert of("x = 1") != of("x = 2")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {"kinds": {}, "history": []}
    changed = [kind for kind, now in current().items() if known["kinds"].get(kind) != now]
    known["history"].append({"kinds": changed, "why": sys.argv[1]})
    RECORD.write_text(json.dumps({"kinds": current(), "history": known["history"]}, indent=1) + "\n")
