"""The floors of the house, read from the imports: the architecture diagram that cannot go stale."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "raylab"

# First match wins. A module may import floors below its own, and its own folder.
FLOORS = [
    ("raylab.core", 0),
    ("raylab.stages", 2),
    ("raylab.worker", 2),
    ("raylab.runner", 2),
    ("raylab.recipes", 3),
    ("raylab.cluster", 3),
    ("raylab.report", 4),  # renders what recipes name
    ("raylab.sweep", 4),  # of any experiment, which the reports know by name
    ("raylab.mlflow_tracker", 3),
    ("raylab.mlflow_content", 3),
    ("raylab.mlflow_connection", 3),
    ("raylab.mlflow_database", 3),
    ("raylab.mlflow_files", 3),
    ("raylab.mlflow_run", 3),
    ("raylab.cli", 5),
    ("raylab.command_line", 5),
    ("raylab.suites", 5),
    ("raylab.scoreboard", 5),
    ("raylab", 1),
]
# What each part of the house must not know, and the only places of some libraries.
FORBIDDEN = {
    "raylab.core": {"ray", "mlflow", "pyarrow", "pydantic", "pathlib", "os", "time", "tqdm", "random"},
    "raylab.recipes": {"ray", "mlflow", "pyarrow", "pathlib", "os", "torch"},
    "raylab.cluster": {"raylab.core", "raylab.stages", "raylab.recipes", "raylab.report", "torch", "mlflow"},
    "raylab.report": {"ray", "mlflow", "raylab.cluster"},
    "raylab.stages": {"ray", "mlflow", "raylab.cluster"},
}
ONLY_IN = {
    "ray": ("raylab.cluster",),
    "mlflow": (
        "raylab.mlflow_tracker",
        "raylab.mlflow_content",
        "raylab.mlflow_connection",
        "raylab.mlflow_database",
        "raylab.mlflow_files",
        "raylab.mlflow_run",
    ),
    "raylab.cluster": ("raylab.cluster", "raylab.cli"),
    "raylab.mlflow_tracker": ("raylab.mlflow_tracker", "raylab.mlflow_content", "raylab.cli"),
    "torchvision": ("raylab.core.torchvision_compat", "raylab.core.torchvision_bodies"),
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    """Every imported module, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def floor(module: str) -> int:
    return next(number for prefix, number in FLOORS if within(module, prefix))


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def violations(name: str, tree: ast.Module) -> list[str]:
    found = []
    # stage.py and store.py name each other's types; a file and its own folder are one floor.
    for imported in imports(tree):
        if within(imported, "raylab") and floor(imported) > floor(name):
            found.append(f"{name} (floor {floor(name)}) imports {imported} (floor {floor(imported)})")
        for prefix, banned in FORBIDDEN.items():
            if within(name, prefix) and any(within(imported, b) for b in banned):
                found.append(f"{name} must not know {imported}")
        for library, places in ONLY_IN.items():
            if within(imported, library) and not any(within(name, place) for place in places):
                found.append(f"{imported} belongs to {', '.join(places)}, not to {name}")
    return found


def test_every_import_goes_down_or_stays_on_its_floor() -> None:
    assert [line for name, tree in modules() for line in violations(name, tree)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("raylab.core.pgd", "def f():\n    from raylab.stages import training"),
        ("raylab.recipes.x", "import ray.data"),
        ("raylab.cluster.map", "from raylab.core import pgd"),
        ("raylab.store", "import raylab.runner"),
        ("raylab.report.transfer.page", "import mlflow"),
    ],
)
def test_a_wrong_import_is_seen_wherever_it_hides(name: str, source: str) -> None:
    assert violations(name, ast.parse(source))


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in modules() if not ast.get_docstring(tree)] == []


def test_files_are_small_and_folders_shallow() -> None:
    paths = list(PACKAGE.rglob("*.py"))
    assert [p.name for p in paths if len(p.relative_to(PACKAGE).parts) > 3] == []
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in paths}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
