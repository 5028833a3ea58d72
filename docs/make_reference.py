"""Writes docs/reference.md from the source of `raylab.__all__` and of what it returns (`make docs`).

griffe reads the code without running it and follows the lazy names of `raylab/__init__.py` to where they are defined.
Signatures are shown as they stand in the source, for the comments beside their arguments give shapes and ranges.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"
HEAD = """# Functions on tensors

Written by `make docs` from the source; a test keeps it in step. `import raylab` costs nothing; torch is imported when
one of these names is first used. Images are float32 tensors (N, C, H, W) in [0, 1], networks any `nn.Module` from such
images to logits, asked in eval mode and left as they were found.
"""


def reference() -> str:
    """The page."""
    package = griffe.load("raylab", search_paths=[ROOT], resolve_aliases=True)
    exported = [_resolved(package[name]) for name in package.exports or ()]
    returned: dict[str, griffe.Object] = {}
    for one in exported:
        for cls in _returned(one):
            returned |= {base.path: base for base in (*reversed(cls.mro()), cls)}
    listed = ", ".join(f"[`{one.name}`](#{one.name.lower()})" for one in (*exported, *returned.values()))
    sections = [HEAD, listed + "\n", *(_section(one) for one in exported)]
    return "\n".join([*sections, "# What they return\n", *(_section(one) for one in returned.values())])


def _resolved(of: griffe.Object | griffe.Alias) -> griffe.Object:
    return of.final_target if isinstance(of, griffe.Alias) else of


def _returned(of: griffe.Object) -> Iterator[griffe.Class]:
    """The classes of raylab.api that a function returns, and those that their methods return."""
    for name in ast.walk(ast.parse(str(getattr(of, "returns", None)), mode="eval")):
        if isinstance(name, ast.Name) and name.id in of.module.members:
            place = of.module[name.id]
            found = _resolved(place) if getattr(place, "target_path", place.path).startswith("raylab.api.") else None
            if isinstance(found, griffe.Class):
                yield found
                for method in found.members.values():
                    yield from _returned(method) if isinstance(method, griffe.Function) else ()


def _section(of: griffe.Object) -> str:
    if isinstance(of, griffe.Class):
        methods = [one for one in of.members.values() if isinstance(one, griffe.Function) and _is_public(one)]
        methods += [
            one for one in of.members.values() if isinstance(one, griffe.Attribute) and "property" in one.labels
        ]
        methods = sorted((one for one in methods if _is_public(one)), key=lambda one: one.lineno or 0)
        parts = [_described(of), *(f"#### {of.name}.{one.name}\n\n{_described(one)}" for one in methods)]
        return f"## {of.name}\n\n" + "\n".join(parts)
    return f"## {of.name}\n\n{_described(of)}"


def _is_public(of: griffe.Object) -> bool:
    return not of.name.startswith("_") and of.docstring is not None


def _described(of: griffe.Object) -> str:
    doc = of.docstring.value if of.docstring else ""
    paragraphs = "\n\n".join(_lines_kept(one) for one in doc.split("\n\n"))
    return f"```python\n{_signature(of)}\n```\n\n{paragraphs}\n"


def _signature(of: griffe.Object) -> str:
    """The source before the docstring; of a class its fields too."""
    source = textwrap.dedent(of.source)
    node, lines = ast.parse(source).body[0], source.splitlines()
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    kept = lines[: node.body[0].lineno - 1]
    if isinstance(node, ast.ClassDef):
        for field in (one for one in node.body if isinstance(one, ast.AnnAssign)):
            kept += lines[field.lineno - 1 : field.end_lineno]
    found = "\n".join(kept).removesuffix(":")
    return f"@property\n{found}" if isinstance(of, griffe.Attribute) else found


def _lines_kept(paragraph: str) -> str:
    """A list of arguments, one a line, keeps its lines."""
    lines = paragraph.splitlines()
    starts = [line.split(":")[0].replace(", ", "").isidentifier() and ": " in line for line in lines]
    return "\n".join(f"- {line}" if start else line for line, start in zip(lines, starts, strict=True))


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
