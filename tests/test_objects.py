"""Objects by `module:object`, and the fingerprint of the modules that they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raylab.engine import objects

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes modules into a folder of the path, whose imports are forgotten at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def written(**modules: str) -> None:
        for name, source in modules.items():
            path = tmp_path / f"{name.replace('_in_', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()

    yield written  # type: ignore[misc]
    for name in set(sys.modules) - before:
        del sys.modules[name]


def forget(*names: str) -> None:
    """As a new process has not imported them."""
    for name in names:
        sys.modules.pop(name, None)


def test_an_object_is_found_by_module_and_dotted_name(write: Write) -> None:
    write(mine_a="class Made:\n    @classmethod\n    def build(cls): return 3")
    assert objects.find("mine_a:Made.build")() == 3


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("mine_b", "module:object"),
        ("mine_b:of", "mine_b has no of; it has off"),
        ("mine_absent:of", "no module mine_absent"),
        ("mine_b.deeper:of", "no module mine_b.deeper"),
        ("mine_needs:of", "no module nobody_has_it; install it"),
        ("mine_fails:of", "importing mine_fails fails: ZeroDivisionError"),
        ("__main__:of", "workers cannot import __main__"),
    ],
)
def test_what_is_not_to_be_found_is_refused_with_a_remedy(write: Write, reference: str, said: str) -> None:
    write(mine_b="off = 1", mine_needs="import nobody_has_it", mine_fails="1 / 0")
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        objects.find(reference)


def test_the_fingerprint_has_the_modules_that_are_imported_and_none_that_are_installed(write: Write) -> None:
    write(
        mine_c="import json, torch\nfrom mine_d import part\ndef make():\n    import mine_late\n    return part",
        mine_d="from mine_package import inner\npart = inner.x",
        mine_package_in___init__="",
        mine_package_in_inner="from . import beside\nx = 1",
        mine_package_in_beside="y = 2",
        mine_late="",
    )
    known = objects.code("mine_c:make")
    package = {"mine_package", "mine_package.inner", "mine_package.beside"}
    assert set(known) == {"mine_c", "mine_d", "mine_late", *package}
    objects.find("mine_c:make")()
    assert objects.code("mine_c:make") == known  # whatever has been imported meanwhile
    assert list(objects.differing(known)) == []


def test_of_an_installed_function_the_module_that_defines_it_counts() -> None:
    assert set(objects.code("json:JSONDecoder")) == {"json.decoder"}


def test_an_edit_anywhere_is_another_fingerprint_in_the_next_process_and_a_difference_on_a_worker(write: Write) -> None:
    write(mine_e="import mine_f\ndef make(): return mine_f.x", mine_f="x = 1")
    before = objects.code("mine_e:make")
    write(mine_f="x = 2222")
    assert objects.code("mine_e:make") == before  # what was imported here still runs here
    forget("mine_e", "mine_f")
    after = objects.code("mine_e:make")
    assert after["mine_e"] == before["mine_e"]
    assert after["mine_f"] != before["mine_f"]
    (line,) = objects.differing(before)
    assert "module mine_f" in line
    assert "is another one here" in line


def test_a_reload_is_seen(write: Write) -> None:
    write(mine_g="x = 1")
    before = objects.code("mine_g:x")
    write(mine_g="x = 'another'")
    importlib.reload(sys.modules["mine_g"])
    assert objects.code("mine_g:x") != before


def test_a_module_that_is_absent_on_a_worker_is_named() -> None:
    (line,) = objects.differing({"mine_nowhere": "0" * 64})
    assert "no module mine_nowhere" in line
    assert "install it" in line


def test_a_module_whose_file_has_gone_since_it_was_imported_is_named(write: Write) -> None:
    write(mine_i="def make(): return 1")
    known = objects.code("mine_i:make")
    Path(str(sys.modules["mine_i"].__file__)).unlink()
    with pytest.raises(objects.OtherCode, match="no module mine_i in"):
        objects.find_same("mine_i:make", known)


def test_a_module_that_a_source_can_do_without_is_compared_and_never_imported(write: Write) -> None:
    write(mine_h="def make():\n    import mine_optional", mine_optional="raise ImportError('of another system')")
    known = objects.code("mine_h:make")
    assert set(known) == {"mine_h", "mine_optional"}
    assert list(objects.differing(known)) == []
