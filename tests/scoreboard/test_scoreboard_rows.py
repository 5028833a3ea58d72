"""The table of target numbers, and whether what it says can be run."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raylab.config import load
from raylab.scoreboard.page import job_of
from raylab.scoreboard.rows import Criterion, Published, Rows, TargetRow, all_rows, table

ROOT = Path(__file__).parents[2]
EVIDENCE = sorted((ROOT / "raylab" / "experiments").glob("*/scoreboard.py"))
assert len(EVIDENCE) >= 7
COMMANDS = {row.run.command: row.row for row in reversed(all_rows()) if job_of(row.run.command)}


def names(row: TargetRow) -> set[str]:
    return {*row.published, *row.criteria}


def test_each_row_says_where_its_numbers_are_from() -> None:
    rows = all_rows()
    assert len(rows) >= 46
    assert all(row.title and row.source and row.run.command and row.run.data and row.run.cost for row in rows)
    assert [row.row for row in rows if not row.published] == [26]  # a quotation, kept to say that it is none


def test_published_numbers_lie_inside_their_tolerance_and_in_their_unit() -> None:
    for row in all_rows():
        for name, published in row.published.items():
            assert published.low <= published.value <= published.high, (row.row, name)
            assert published.low < published.high, (row.row, name)
            if published.unit == "share":
                assert published.low >= 0, (row.row, name)
                assert published.high <= 1, (row.row, name)


def test_a_number_with_a_criterion_has_one_unit() -> None:
    both = [(row, name) for row in all_rows() for name in row.published if name in row.criteria]
    assert both
    assert [(row.row, name) for row, name in both if row.published[name].unit != row.criteria[name].unit] == []


def test_criteria_let_the_published_number_pass() -> None:
    """A criterion on the very quantity that was published must hold for the publication."""
    for row in all_rows():
        for name in set(row.published) & set(row.criteria):
            value, criterion = row.published[name].value, row.criteria[name]
            assert criterion.at_least is None or value >= criterion.at_least, (row.row, name)
            assert criterion.at_most is None or value <= criterion.at_most, (row.row, name)


def test_rows_that_are_out_of_order_or_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"low <= value <= high, got 0\.5, 0\.4, 0\.6"):
        Published(value=0.4, low=0.5, high=0.6)
    with pytest.raises(ValueError, match="at_least or at_most, or both: got none"):
        Criterion()
    with pytest.raises(ValueError, match=r"at_least below at_most, got 0\.2 and 0\.1"):
        Criterion(at_least=0.2, at_most=0.1)
    with pytest.raises(ValueError, match="each once and in order"):
        Rows(groups={"all": 1}, rows=all_rows()[1:])
    for groups in ({"late": 2}, {"one": 1, "none": 1}, {"one": 1, "beyond": 99}, {}):
        with pytest.raises(ValueError, match=r"groups: first rows from 1 to"):
            Rows(groups=groups, rows=all_rows())


def test_every_row_is_in_one_group_of_the_page() -> None:
    assert [row for of in table().grouped.values() for row in of] == [row.row for row in all_rows()]


@pytest.mark.parametrize("command", COMMANDS, ids=[f"row{row}" for row in COMMANDS.values()])
def test_what_is_said_to_run_a_row_can_be_run(command: str) -> None:
    """The job is there, its configs are, and they load with the changes that the command makes."""
    script, *arguments = shlex.split(command)
    assert (ROOT / script).is_file(), f"{script} is not there"
    config = experiment(ROOT / script).config
    files = [text for text in arguments if text.endswith(".yaml")]
    changes = [text for text in arguments if not text.endswith(".yaml")]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    for source in [ROOT / name for name in files] or ["{}"]:
        load(config, source, changes)


def experiment(path: Path) -> Any:
    """What a job runs."""
    spec = importlib.util.spec_from_file_location(f"job_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXPERIMENT


@pytest.mark.parametrize("path", EVIDENCE, ids=[path.parent.name for path in EVIDENCE])
def test_evidence_names_what_its_row_has(path: Path) -> None:
    """Of names that are written out, or in part: a wrong one would otherwise be found when all has been computed."""
    found = list(named_in(ast.parse(path.read_text())))
    assert found
    for row, name in found:
        of = [one for one in all_rows() if not isinstance(row, ast.Constant) or one.row == row.value]
        pattern = pattern_of(name)
        assert any(pattern.fullmatch(known) for one in of for known in names(one)), (
            f"{path.name}:{name.lineno}: {ast.unparse(row)} has no {ast.unparse(name)}"
        )


def named_in(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Rows and names: of `Evidence`, and of `measured`, whose names are the keys of a mapping."""
    for function in [node for node in tree.body if isinstance(node, ast.FunctionDef)]:
        for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
            if isinstance(call.func, ast.Name) and call.func.id == "Evidence":
                yield call.args[0], call.args[1]
            if isinstance(call.func, ast.Name) and call.func.id == "measured":
                yield from ((call.args[0], key) for value in values_of(call.args[3], function) for key in keys(value))


def values_of(value: ast.expr, function: ast.FunctionDef) -> list[ast.expr]:
    """What an expression is: of a variable what was last assigned to it before, and added since."""
    if not isinstance(value, ast.Name):
        return [value]
    found: list[ast.expr] = []
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AugAssign)]
    for node in sorted(assigned, key=lambda node: node.lineno):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.lineno < value.lineno and any(isinstance(one, ast.Name) and one.id == value.id for one in targets):
            found = [node.value] if isinstance(node, ast.Assign) else [*found, node.value]
    return found


def keys(mapping: ast.expr) -> list[ast.expr]:
    if isinstance(mapping, ast.Dict):
        return [key for key in mapping.keys if key is not None]
    return [mapping.key] if isinstance(mapping, ast.DictComp) else []


def pattern_of(name: ast.expr) -> re.Pattern[str]:
    """What is not written out may be anything."""
    if isinstance(name, ast.Constant):
        return re.compile(re.escape(name.value))
    if isinstance(name, ast.JoinedStr):
        return re.compile("".join(re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in name.values))
    return re.compile(".+")


def test_names_are_found_wherever_they_are_written() -> None:
    source = """
def f():
    yield Evidence(1, 'a', x)
    numbers = {'not this one': x}
    numbers = {'b': x, **more}
    numbers |= {f'c {y}': x}
    yield from measured(2, on, protocol, numbers)
    yield from measured(3, on, protocol, {'d': x})
    yield from measured(4, on, protocol, {f'{z} e': x for z in y})
"""
    found = [(ast.unparse(row), ast.unparse(name)) for row, name in named_in(ast.parse(source))]
    assert sorted(found) == [("1", "'a'"), ("2", "'b'"), ("2", "f'c {y}'"), ("3", "'d'"), ("4", "f'{z} e'")]


def test_a_wrong_name_would_be_seen() -> None:
    for source, right in (("'clean'", True), ("'cleen'", False), ("f'above {x}'", True), ("f'abve {x}'", False)):
        pattern = pattern_of(ast.parse(source, mode="eval").body)
        assert any(pattern.fullmatch(name) for name in names(all_rows()[0])) is right
