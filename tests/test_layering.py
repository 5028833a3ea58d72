"""The floors of the house, read from the imports: the architecture diagram that cannot go stale."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "raylab"

# First match wins. A module may import floors below its own, and its own folder.
FLOORS = [
    ("raylab.core", 0),
    ("raylab.stages", 2),
    ("raylab.engine.worker", 2),
    ("raylab.engine.runner", 2),
    ("raylab.bench", 3),
    ("raylab.cluster", 3),
    ("raylab.scoreboard.run", 5),  # a suite's job
    ("raylab.scoreboard", 4),
    ("raylab.report", 4),  # the registry of experiments is in it
    ("raylab.experiments", 4),
    ("raylab.sweep", 4),  # of any experiment, which the reports know by name
    ("raylab.api", 5),
    ("raylab.tracking.mlflow", 3),
    ("raylab.cli", 5),
    ("raylab.entry", 5),
    ("raylab.__main__", 5),
    ("raylab.commands", 5),
    ("raylab.suites", 5),
    ("raylab", 1),
]
# What each part of the house must not know, and the only places of some libraries.
# Of every report, whatever it is on.
KIT = ("blocks", "charts", "claims", "names", "files", "html", "read", "samples", "terminal", "tracker", "values")
FORBIDDEN = {
    **{f"raylab.report.{name}": {"raylab.stages", "raylab.experiments"} for name in KIT},
    "raylab.bench": {"ray", "mlflow", "raylab.report", "raylab.engine.runner"},
    "raylab.experiments": {"ray", "mlflow", "raylab.cluster"},
    "raylab.benchmark": {
        "ray",
        "mlflow",
        "pydantic",
        "pyarrow",
        "raylab.stages",
        "raylab.engine.store",
        "raylab.config",
    },
    "raylab.core": {"ray", "mlflow", "pyarrow", "pydantic", "pathlib", "os", "time", "tqdm", "random"},
    "raylab.cluster": {"raylab.core", "raylab.stages", "raylab.experiments", "raylab.report", "torch", "mlflow"},
    "raylab.report": {"ray", "mlflow", "raylab.cluster"},
    "raylab.scoreboard": {"ray", "mlflow", "raylab.cluster"},
    "raylab.stages": {"ray", "mlflow", "raylab.cluster"},
}
ONLY_IN = {
    "ray": ("raylab.cluster",),
    "mlflow": ("raylab.tracking.mlflow",),
    "raylab.cluster": ("raylab.cluster", "raylab.cli"),
    "raylab.tracking.mlflow": ("raylab.tracking.mlflow", "raylab.cli"),
    # The others take it from raylab.core.later, so that nobody waits for torch who computes nothing.
    "torch": (
        *(
            f"raylab.core.{name}"
            for name in ("later", "blocks", "compiled", "last_relu", "networks", "published", "squares")
        ),
        "raylab.api",  # functions on tensors: who imports it has torch
        "raylab.benchmark",  # which measures torch
    ),
    "matplotlib": ("raylab.report.later",),
    "scipy": ("raylab.report.later",),
    "jinja2": ("raylab.report.later",),
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
    if module == "raylab":  # the front door, which names what it opens, and imports it when somebody enters
        return 6
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
        ("raylab.experiments.x", "import ray.data"),
        ("raylab.cluster.map", "from raylab.core import pgd"),
        ("raylab.engine.store", "import raylab.engine.runner"),
        ("raylab.stages.x", "import raylab"),
        ("raylab.report.terminal", "import mlflow"),
    ],
)
def test_a_wrong_import_is_seen_wherever_it_hides(name: str, source: str) -> None:
    assert violations(name, ast.parse(source))


PLANNED = ("config", "plan")  # of a room: they say what is to be computed, and compute nothing
ORDER = (*PLANNED, "measure", "verdict", "report")  # each may import those before it


def rooms() -> Iterator[tuple[str, str, ast.Module]]:
    """The modules of the experiments' rooms: (room, module, tree)."""
    for path in sorted((PACKAGE / "experiments").glob("*/*.py")):
        yield path.parent.name, path.stem, ast.parse(path.read_text())


def test_a_room_knows_another_only_through_its_front_door() -> None:
    found = []
    for room, module, tree in rooms():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raylab.experiments."):
                other, *inside = (node.module or "").split(".")[2:]
                if other not in (room, "fields") and inside:
                    found.append(f"{room}.{module} imports from {node.module}")
    assert found == []


def test_within_a_room_plans_know_no_measures_and_measures_no_reports() -> None:
    found = []
    for room, module, tree in rooms():
        if module not in ORDER:
            continue
        later = ORDER[ORDER.index(module) + 1 :]
        for imported in imports(tree):
            if any(within(imported, f"raylab.experiments.{room}.{name}") for name in later):
                found.append(f"{room}.{module} imports {imported}")
            if module in PLANNED and any(within(imported, one) for one in ("pyarrow", "pathlib", "os", "torch")):
                found.append(f"{room}.{module} imports {imported}")
    assert found == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in modules() if not ast.get_docstring(tree)] == []


LONGEST = 40  # lines of a function
# Functions that are one thing from top to bottom, and would be harder to follow in pieces.
LONGER = {
    **dict.fromkeys(
        ("api.sets.construct", "api.sets.invert", "api.attacks.robust_accuracy", "api.attacks.transfer"),
        "two thirds are its arguments, and what each of them means",
    ),
    "core.fit.fit": "the training loop: its order of draws, steps and checkpoints is what makes a resumed run the same",
    "core.apgd.ascend": "APGD as it was published, with its state in local variables",
    "core.pgd.descend": "the attack loop with everything that may be asked of its iterates",
    "core.statistics.correlate": "half of it says what is resampled and why",
    "cluster.map.map_shards": "the one pipeline of Ray Data, its options explained where they stand",
    "cluster.tasks.run_tasks": "one life of a Tuner",
    "cluster.trials.run_trials": "one life of a Tuner",
    "engine.runner._build_maps": "one round of maps",
    "commands.options.parsed": "the options, a call of argparse each",
    "report.charts.lines": "one chart, whatever may be drawn beside its curves",
    "stages.robustness.measure": "every attack that may be asked, once",
    "stages.usefulness.run": "one table of closed forms",
    "experiments.worlds.plan._case": "the draw of a world: its order is its identity",
}


def functions() -> Iterator[tuple[str, int]]:
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{module.removeprefix('raylab.')}.{node.name}", lines


def test_functions_are_short_and_folders_shallow() -> None:
    lengths = dict(functions())
    assert {name for name, lines in lengths.items() if lines > LONGEST} == set(LONGER)
    assert statistics.median(lengths.values()) <= 8
    assert [p.name for p in PACKAGE.rglob("*.py") if len(p.relative_to(PACKAGE).parts) > 3] == []


def classes() -> Iterator[tuple[str, str]]:
    for module, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, module


def test_no_two_public_classes_share_a_name() -> None:
    counted = Counter(name for name, _ in classes())
    assert [name for name, count in counted.items() if count > 1] == []
