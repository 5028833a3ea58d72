"""The commit of the code is found where anything tells of it, and where nothing does people hear why."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_cli import ended

from raylab.engine import code, commit, provenance
from raylab.engine.commit import UNKNOWN, Commit
from raylab.report.made import _commit
from raylab.scoreboard.run import about

NOT_INSTALLED = "whether the code was changed since is not known: git is not installed"


def git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@example.org", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(commit.VARIABLE, raising=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Say something")
    return folder


def test_git_tells_the_commit_and_whether_the_code_was_changed(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert commit.of(checkout) == Commit(head, False)
    (checkout / "code.py").write_text("x = 2\n")
    assert commit.of(checkout) == Commit(head, True)


def test_a_hook_of_another_repository_does_not_lend_its_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(checkout), str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert commit.of(checkout).name == head


@pytest.mark.parametrize("form", ["a branch", "a packed branch", "no branch", "a worktree", "a branch of a worktree"])
def test_without_git_the_commit_is_read_from_its_files(
    form: str, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout
    if form == "a packed branch":
        git(checkout, "pack-refs", "--all")
        assert not (checkout / ".git" / "refs" / "heads" / "main").exists()
    elif form == "no branch":
        git(checkout, "checkout", "--quiet", "--detach")
    elif "worktree" in form:
        folder = tmp_path / "worktree"
        branch = ["-b", "another/branch"] if "branch" in form else ["--detach"]
        git(checkout, "worktree", "add", "--quiet", *branch, str(folder))
        git(folder, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    head = git(folder, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    assert commit.of(folder) == Commit(head, None, NOT_INSTALLED)


def test_the_checkout_of_another_owner_is_read_and_git_is_quoted(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this
    found = commit.of(checkout)
    assert found[:2] == (head, None)
    assert found.note.startswith(
        f"whether the code was changed since is not known: git says: detected dubious ownership in repository at "
        f"'{checkout}'"
    )


@pytest.mark.parametrize("damage", ["", "ref: refs/heads/other", "no commit", "ref: " + "x" * 5000])
def test_a_head_that_names_no_commit_is_unknown_with_what_git_says(checkout: Path, damage: str) -> None:
    (checkout / ".git" / "HEAD").write_text(damage)
    found = commit.of(checkout)
    assert found[:2] == (UNKNOWN, None)
    assert found.note.startswith("git says: ")
    assert found.note.endswith("; set RAYLAB_COMMIT to the commit of the code")


def test_without_a_checkout_the_environment_tells_and_otherwise_people_hear_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = f"{tmp_path} is no checkout of git; set RAYLAB_COMMIT to the commit of the code"
    assert commit.of(tmp_path) == Commit(UNKNOWN, None, note)
    monkeypatch.setenv(commit.VARIABLE, "a" * 40)
    assert commit.of(tmp_path) == Commit("a" * 40, None)


@pytest.mark.parametrize(
    ("noted", "name"),
    [
        ({"url": "https://example.org/raylab", "vcs_info": {"vcs": "git", "commit_id": "b" * 40}}, "b" * 40),
        ({"url": "file:///wheels/raylab-0.1.0-py3-none-any.whl", "archive_info": {}}, UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_an_installed_package_has_the_commit_that_pip_noted(
    tmp_path: Path, noted: dict[str, object] | None, name: str
) -> None:
    notes = tmp_path / "raylab-0.1.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text("Metadata-Version: 2.1\nName: raylab\nVersion: 0.1.0\n")
    if noted is not None:
        (notes / "direct_url.json").write_text(json.dumps(noted))
    assert commit.of(tmp_path).name == name


# -- who hears of it


def test_people_hear_once_why_a_commit_is_unknown_and_the_provenance_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("backend: inline\ntracking: none\n")
    monkeypatch.setenv("RAYLAB_SITE", str(site))
    monkeypatch.setattr(commit, "of", lambda: Commit(UNKNOWN, None, "nobody knows"))
    provenance.collect.cache_clear()
    try:
        assert ended() == 0
    finally:
        provenance.collect.cache_clear()
    assert capsys.readouterr().err.count("commit    unknown: nobody knows\n") == 1
    (manifest,) = [json.loads(path.read_text()) for path in (tmp_path / "home").rglob("MANIFEST.json")]
    origin = manifest["provenance"]
    assert {name: origin[name] for name in ("commit", "dirty", "commit_note", "code")} == {
        "commit": UNKNOWN,
        "dirty": None,
        "commit_note": "nobody knows",
        "code": code.digest(),
    }


def test_pages_say_why_a_commit_is_unknown_and_which_code_it_was() -> None:
    origin = {"commit": UNKNOWN, "dirty": None, "commit_note": "nobody knows", "code": "c" * 64, "finished": "2026"}
    told = f"unknown (nobody knows; the code's own sha256 is {'c' * 12})"
    assert _commit(origin) == told
    assert about("small", [SimpleNamespace(manifest={"provenance": origin})]).short_commit == told  # type: ignore[list-item]
    assert _commit({"commit": "d" * 40, "dirty": True}) == f"{'d' * 12} with uncommitted changes"  # of an older raylab
