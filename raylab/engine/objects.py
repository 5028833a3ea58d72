"""Objects of other people's modules by `module:object`, and the fingerprint of the code that they run.

A module is known by its name and the sha256 of its source, never by its path: a worker that imports another file under
that name is told so.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
REFERENCE = re.compile(f"{_NAME}:{_NAME}")
# Of these a fingerprint holds the module that defines the object alone: what it imports has a version of its own.
_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_read: dict[str, tuple[object, str]] = {}  # by module: the spec that it was imported by, and its sha256 then


class OtherCode(ValueError):
    """Modules are not here, or are not what a plan was made with. They may be tomorrow."""


def check_reference(text: str) -> str:
    """The text, if it has the form of a reference. Raises ValueError."""
    if not REFERENCE.fullmatch(text):
        raise ValueError(f"must be module:object, as in mynetworks:wide_resnet, got {text!r}")
    return text


def find(reference: str) -> Any:
    """The object. The working directory counts as a place of modules, as it does for `python -m`.

    Raises ValueError, with a remedy, where there is no such module or object, or importing it fails.
    """
    name, _, path = check_reference(reference).partition(":")
    found: Any = _imported(name, reference)
    for step in path.split("."):
        if not hasattr(found, step):
            public = [one for one in dir(found) if not one.startswith("_")]
            raise ValueError(f"{reference}: {name} has no {path}; it has {', '.join(public[:12]) or 'nothing public'}")
        found = getattr(found, step)
    return found


def find_same(reference: str, known: Mapping[str, str]) -> Any:
    """The object, where its modules have the sha256 that is known of them. Raises OtherCode."""
    if wrong := list(differing(known)):
        raise OtherCode(f"{'; '.join(wrong)}; workers need the driver's modules: submit the folder that has them")
    try:
        return find(reference)
    except ValueError as error:
        raise OtherCode(str(error)) from error


def code(reference: str) -> dict[str, str]:
    """The sha256 of the source of the module that defines the object, and of the modules that it imports, directly or
    not, unless they are installed; by the modules' names.

    Raises ValueError as `find`, and for what no other process can import.
    """
    found, name = find(reference), reference.partition(":")[0]
    defining = str(found.__module__) if inspect.isroutine(found) or inspect.isclass(found) else name
    named = (*_with_packages(name), *_with_packages(defining))
    names = dict.fromkeys(one for one in named if one == defining or _is_own(one))
    waiting = list(names)
    while waiting:
        for imported in _imports(waiting.pop()):
            if imported not in names and _is_own(imported):
                names[imported] = None
                waiting.append(imported)
    return {one: _digest(one, reference) for one in sorted(names)}


def differing(known: Mapping[str, str]) -> Iterator[str]:
    """What is wrong here with modules whose sha256 is known, a line each. None is imported that has not been: a source
    may name one that it can do without."""
    _look_here()
    for name, digest in known.items():
        spec = _spec(name)
        if spec is None or not _is_file(spec):  # it may have gone since it was imported
            yield f"no module {name} in {os.getcwd()} or elsewhere on the path; install it"
        elif (here := _digest(name, name)) != digest:
            yield f"module {name} ({spec.origin}) is another one here: sha256 {here[:12]}, known is {digest[:12]}"


def _imported(name: str, reference: str) -> ModuleType:
    if name == "__main__":
        raise ValueError(f"{reference}: workers cannot import __main__; move it into a module of its own")
    here = _look_here()
    try:
        return _module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(
                f"{reference}: no module {error.name} in {here} or elsewhere on the path; start in the folder that has "
                "it, or install it (on a cluster: in the working directory that is submitted, or in the image)"
            ) from error
        raise ValueError(f"{reference}: importing {name} fails: no module {error.name}; install it") from error
    except Exception as error:  # whatever somebody's module does
        raise ValueError(f"{reference}: importing {name} fails: {type(error).__name__}: {error}") from error


def _look_here() -> str:
    """The working directory, which is from now on a place of modules."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    return here


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    from raylab.core import torchvision_compat  # torch costs seconds to import, and configs are read without it

    torchvision_compat.load()  # beside a torch that it was not compiled for
    return importlib.import_module(name)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, imported or not, which changes nothing: it may be imported later."""
    if name in sys.modules:
        return sys.modules[name].__spec__
    try:
        return importlib.util.find_spec(name)
    except Exception:  # of a name in a module that is no package, and whatever importing a package raises
        return None


def _digest(name: str, reference: str) -> str:
    """Of the source; of a module that is imported, as it was when it was first asked for: what has been edited since is
    not what runs here."""
    spec = _spec(name)
    if spec is None or spec.origin is None or not _is_file(spec):
        raise ValueError(f"{reference}: {name} has no file that a worker could import; move it into a module")
    if name not in _read or _read[name][0] is not spec:  # a reload has a new one
        _read[name] = spec, hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    return _read[name][1]


def _is_file(spec: ModuleSpec) -> bool:
    return spec.has_location and os.path.isfile(spec.origin or "")


def _is_own(name: str) -> bool:
    """Whether it is a module that is neither Python's, nor installed, nor raylab's."""
    spec = _spec(name)
    if spec is None or not spec.has_location or spec.origin is None or name.partition(".")[0] == "raylab":
        return False
    path = Path(spec.origin).resolve()
    return not any(path.is_relative_to(folder) for folder in _INSTALLED) and "site-packages" not in path.parts


def _imports(name: str) -> Iterator[str]:
    """The names that a source imports, at its top or in functions, and the packages that they lie in."""
    spec = _spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    for node in _statements(spec.origin, os.stat(spec.origin).st_mtime_ns):
        names = list[str]()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            parent = ".".join(filter(None, (base, node.module)))
            names = [parent, *(f"{parent}.{alias.name}" for alias in node.names)]
        for found in names:
            yield from _with_packages(found)


def _with_packages(name: str) -> Iterator[str]:
    """A module's name after those of the packages that it lies in, which are imported with it."""
    steps = name.split(".")
    yield from (".".join(steps[: end + 1]) for end in range(len(steps)))


@lru_cache(maxsize=256)  # a plan asks for one factory as often as it has networks
def _statements(file: str, changed: int) -> tuple[ast.AST, ...]:
    """The import statements of a source."""
    del changed
    tree = ast.parse(Path(file).read_bytes())
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
