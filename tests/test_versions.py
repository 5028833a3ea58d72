"""When the code behind a kind of artifact changes, somebody must say whether its meaning did.

If it did, bump the version in the factory of its stage: old artifacts are then no longer found. Either way record it,
and say in the commit why the results are others, or the same:

    python tests/test_versions.py

The record has a line for each file and each kind, so that two changes of different files merge as they are.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "versions.json"
# What an artifact holds is decided here, and by the worker that runs every stage. The rest plans, stores and reports.
DECIDING = ("raylab.core", "raylab.data", "raylab.stages", "raylab.engine.columns", "raylab.engine.objects")
WORKER = "raylab.engine.worker"
LATER = "raylab.core.later"  # gives modules under their last name


def path_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of the package that some line of this one imports, those of annotations too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raylab"):
            for name in (alias.name for alias in node.names):
                inside = f"{'raylab.core' if node.module == LATER else node.module}.{name}"
                yield inside if path_of(inside).exists() else str(node.module)


@cache
def closure(module: str) -> frozenset[str]:
    """A module with all that decide what it computes."""
    found, left = set[str](), [module]
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            tree = parsed(path_of(one))
            left += [m for m in imported(tree) if m != LATER and any(f"{m}.".startswith(f"{d}.") for d in DECIDING)]
    return frozenset(found | {WORKER})


# Later Pythons leave out lists that are empty, and have one more: records hold on all of them.
AS_ON_3_11: Any = {"show_empty": True} if sys.version_info >= (3, 13) else {}


def meaning(path: Path) -> str:
    """The code without comments, docstrings and layout."""
    tree = parsed(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Expr(ast.Constant(...))
    return ast.dump(tree, **AS_ON_3_11).replace(", type_params=[]", "")


@cache
def factories() -> dict[str, tuple[str, int | str]]:
    """By kind: the module of its factory, and the version as written there: Stage("kind", version, ...).

    A version that is an expression is told as its source.
    """
    found: dict[str, tuple[str, int | str]] = {}
    for path in sorted((ROOT / "raylab" / "stages").glob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Stage":
                kind, version = node.args[:2]
                assert isinstance(kind, ast.Constant)
                number = ast.literal_eval(version) if isinstance(version, ast.Constant) else ast.unparse(version)
                found[str(kind.value)] = f"raylab.stages.{path.stem}", number
    return found


def current() -> dict[str, dict[str, int | str]]:
    modules = sorted(frozenset().union(*(closure(module) for module, _ in factories().values())))
    return {
        "versions": {kind: version for kind, (_, version) in sorted(factories().items())},
        "code": {m: hashlib.sha256(meaning(path_of(m)).encode()).hexdigest()[:16] for m in modules},
    }


def test_changed_code_has_a_new_version_or_a_stated_reason() -> None:
    recorded, now = json.loads(RECORD.read_text()), current()
    versions, code = ({n for n, _ in recorded[part].items() ^ now[part].items()} for part in ("versions", "code"))
    behind = {kind for kind, (module, _) in factories().items() if closure(module) & code}
    assert not versions | code, (
        f"{', '.join(sorted(versions | code))} changed, behind: {', '.join(sorted(versions | behind))}. Did their "
        "results? Then bump the version in the factory. And record it: python tests/test_versions.py"
    )


@pytest.mark.parametrize(
    ("kind", "decided_by", "not_by"),
    [
        ("network", {"core.fit", "core.augment", "core.pgd", "engine.worker"}, {"core.evaluate", "data.idx"}),
        ("evaluation", {"core.evaluate", "core.networks", "core.bodies", "stages.weights"}, {"core.fit", "core.pgd"}),
        ("constructed", {"core.pgd", "core.compiled", "core.masking"}, {"core.fit", "core.square"}),
        ("data", {"data.cifar", "data.embedded", "core.seefar"}, {"core.networks"}),
        ("poisoned", {"core.poison"}, {"core.pgd"}),
    ],
)
def test_the_code_behind_a_kind_is_what_its_stage_imports(kind: str, decided_by: set[str], not_by: set[str]) -> None:
    behind = {module.removeprefix("raylab.") for module in closure(factories()[kind][0])}
    assert decided_by <= behind
    assert not not_by & behind


def test_layout_and_comments_are_not_meaning_and_numbers_are(tmp_path: Path) -> None:
    def of(text: str) -> str:
        (tmp_path / "x.py").write_text(text)
        return meaning(tmp_path / "x.py")

    assert of('"""Doc."""\nx = 1  # why') == of('"""Other."""\n\nx   =  1')
    assert of("x = 1") != of("x = 2")


if __name__ == "__main__":
    RECORD.write_text(json.dumps(current(), indent=1) + "\n")
