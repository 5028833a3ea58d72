"""The commit of the code that runs, or why nobody knows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from raylab.engine.redaction import excerpt

HERE = Path(__file__).resolve().parents[2]
UNKNOWN = "unknown"
VARIABLE = "RAYLAB_COMMIT"  # set where there is no checkout: in an image, and for a job that is submitted with a folder
LONGEST = 200  # characters of git's words
SECONDS = 20.0  # git over a network's file system
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # of a hook that calls us: they name another repository


class Commit(NamedTuple):
    """What is known of the code."""

    name: str  # as git names it, in hex, or UNKNOWN
    dirty: bool | None  # whether it was changed since; None: not known
    note: str = ""  # what is not known, why, and what helps


def of(folder: Path = HERE) -> Commit:
    """Of the checkout in a folder, by git, or from git's own files where git cannot say; otherwise what VARIABLE says;
    otherwise what pip noted as it installed raylab from a repository."""
    why = f"{folder} is no checkout of git"
    if _is_there(folder / ".git"):
        try:
            head = _git(folder, "rev-parse", "HEAD")
            return Commit(head, bool(_git(folder, "status", "--porcelain", "--untracked-files=no")))
        except (OSError, subprocess.SubprocessError) as error:
            why = _reason(error)
        if (name := _head(folder)) is not None:
            return Commit(name, None, f"whether the code was changed since is not known: {why}")
    if name := os.environ.get(VARIABLE) or _installed(folder):
        return Commit(name, None)
    return Commit(UNKNOWN, None, f"{why}; set {VARIABLE} to the commit of the code")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that may not be looked into
        return False


def _git(folder: Path, *args: str) -> str:
    """Where git refuses a checkout of another owner, it is not talked round: its reason is that the settings of a
    repository name programs that `git status` runs."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    done = subprocess.run(
        ["git", "-C", str(folder), *args],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=SECONDS,
        env={**environment, "LC_ALL": "C"},
    )
    return done.stdout.strip()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "git is not installed"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"git did not answer within {SECONDS:g} s"
    if isinstance(error, subprocess.CalledProcessError):
        told = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        return f"git says: {excerpt(told[0].removeprefix('fatal: '), LONGEST)}"
    return f"git cannot be run ({error})"


def _head(folder: Path) -> str | None:
    """The commit that git's own files name; None where they do not say it in a way that is understood here."""
    try:
        git = folder / ".git"
        if git.is_file():  # of a worktree or a submodule: the path of the folder
            git = folder / git.read_text().removeprefix("gitdir:").strip()
        common = git / "commondir"
        places = (git, git / common.read_text().strip()) if common.is_file() else (git,)
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _reference(head.removeprefix("ref: "), places)
    except (OSError, ValueError):
        return None
    return head if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", head) else None


def _reference(name: str, places: tuple[Path, ...]) -> str:
    for place in places:
        if (place / name).is_file():
            return (place / name).read_text().strip()
        packed = place / "packed-refs"
        for line in packed.read_text().splitlines() if packed.is_file() else ():
            if line.endswith(f" {name}"):
                return line.split(" ")[0]
    return ""


def _installed(folder: Path) -> str | None:
    """The commit in what pip notes of `pip install git+https://...` (PEP 610), of the installation in this folder."""
    for found in metadata.distributions(name="raylab", path=[str(folder)]):
        try:
            name = json.loads(found.read_text("direct_url.json") or "{}")["vcs_info"]["commit_id"]
        except (ValueError, KeyError, TypeError):
            continue
        return str(name)
    return None
