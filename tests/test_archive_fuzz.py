"""Whatever bytes an archive has, what `raylab store import` takes from it is whole, or it is refused in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import toy
from hypothesis import given
from hypothesis import strategies as st
from test_config_fuzz import few

from raylab.engine import archive, runner
from raylab.engine.ancestry import Ancestry
from raylab.engine.artifact import StoreError
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store

FIELDS = (0, 100, 124, 148, 156, 157, 257, 345)  # of a member's header: name, mode, size, sum, kind, target, ...
WORDS = (
    b"\xff" * 8,
    b"00000000",
    b"77777777",
    b"\x80" + b"\xff" * 7,
    b"../../x\0",
    b"/etc/x\0\0",
    b"g",
    b"x",
    b"L",
    b"S",
    b"2",
)
places = st.integers(0, 10**6)  # where, in millionths of the file
damages = st.one_of(
    st.tuples(st.just("byte"), places, st.integers(0, 255)),
    st.tuples(st.just("cut"), places, st.sampled_from([1, 512, 10**6])),
    st.tuples(st.just("more"), places, st.binary(min_size=1, max_size=600)),
    st.tuples(st.just("header"), places, st.tuples(st.sampled_from(FIELDS), st.sampled_from(WORDS))),
)


def damaged(data: bytes, what: str, place: int, how: object) -> bytes:
    at = place * len(data) // 10**6
    match what, how:
        case "byte", int(value):
            return data[:at] + bytes([value]) + data[at + 1 :]
        case "cut", int(length):
            return data[:at] + data[at + length :]
        case "header", (int(field), bytes(word)):
            start = at // 512 * 512 + field
            return data[:start] + word + data[start + len(word) :]
    assert isinstance(how, bytes)
    return data[:at] + how + data[at:]


def test_a_damaged_archive_is_imported_whole_or_refused_and_nothing_lies_elsewhere(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "from"))
    made = runner.build({0: toy.squares(toy.numbers(25))}, store, InlineBackend(), toy.Recorder())
    archive.write(Ancestry(store), made[0], tmp_path / "good.tar")
    good = (tmp_path / "good.tar").read_bytes().rstrip(b"\0") + b"\0" * 1024

    @few(40)
    @given(st.lists(damages, min_size=1, max_size=4))
    def holds(changes: list[tuple[str, int, object]]) -> None:
        data = good
        for change in changes:
            data = damaged(data, *change)
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            bad, target = Path(folder) / "bad.tar", Store(f"{folder}/a/b/store")
            bad.write_bytes(data)
            said = str(bad)
            try:
                archive.read(bad, target)
            except (ValueError, StoreError) as error:
                said = str(error)
            assert said.isprintable(), said
            assert str(bad) in said
            assert [line for one in Ancestry(target).everything() for line in one.damages()] == []
            assert {path.name for path in Path(folder).iterdir()} <= {"bad.tar", "a"}
            assert {path.name for path in Path(folder, "a").rglob("*") if path.is_symlink()} == set()

    holds()
