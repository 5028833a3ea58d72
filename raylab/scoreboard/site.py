"""The results as a static folder: an index with the scoreboard, a page for each experiment, and the files they name.

Every link is relative, so the folder can be moved, zipped, and opened from a file system or a bucket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from raylab.report.frame import fill, render
from raylab.scoreboard import readme
from raylab.scoreboard.about import About
from raylab.scoreboard.page import Link, index
from raylab.scoreboard.table import as_csv
from raylab.scoreboard.text import as_text
from raylab.scoreboard.verdict import Line

INDEX = "index.html"


class ShownStudy(NamedTuple):
    """One config of an experiment, as it was run."""

    name: str
    key: str
    config: str  # YAML
    digests: Mapping[str, str]  # data set or artifact -> sha256 of its content
    tracker: str  # where its run is to be found: a URI, or words
    about: About  # of its own artifacts


@dataclass(frozen=True)
class Shown:
    """An experiment whose page is part of the folder."""

    name: str  # of the job; the page's name too
    title: str
    method: str  # a paragraph
    page: str  # HTML by `raylab.report.frame.render`, as it is kept alone
    studies: tuple[ShownStudy, ...]

    @property
    def href(self) -> str:
        return f"{self.name}.html"


class _Listed(NamedTuple):
    """A study with the places of its files in the folder."""

    study: ShownStudy
    config: str
    digests: str


def site(lines: Sequence[Line], shown: Sequence[Shown], about: About) -> dict[str, bytes]:
    """All files of the folder by their relative path. Raises ValueError for two experiments, or two studies of one
    experiment, whose files would have one name."""
    for names in ([one.name for one in shown], *([_file_name(study) for study in one.studies] for one in shown)):
        if len(set(names)) < len(names):
            raise ValueError(f"experiments, and studies of each: every name once, got {names}; rename a `study`")
    made = {(one.name, study.name): study.about for one in shown for study in one.studies}
    links = {one.name: Link(one.href, one.title, one.method) for one in shown}
    files = {
        "scoreboard.csv": as_csv(lines),
        "scoreboard.txt": as_text(lines),
        "measured.csv": readme.as_csv(readme.entries(lines, made)),
        INDEX: fill(index(lines, links, about), "navigation", _navigation(shown, INDEX)),
    }
    for one in shown:
        listed = _listed(one)
        for entry in listed:
            files[entry.config] = entry.study.config
            if entry.study.digests:
                files[entry.digests] = "".join(f"{digest}  {name}\n" for name, digest in entry.study.digests.items())
        page = fill(one.page, "navigation", _navigation(shown, one.href))
        files[one.href] = fill(page, "files", render("scoreboard/files.html", shown=one, listed=listed))
    return {path: text.encode() for path, text in files.items()}


def _navigation(shown: Sequence[Shown], here: str) -> str:
    links = [Link(INDEX, "All results"), *(Link(one.href, one.title) for one in shown)]
    return render("scoreboard/navigation.html", links=links, here=here)


def _listed(shown: Shown) -> list[_Listed]:
    names = [_file_name(study) for study in shown.studies]
    return [
        _Listed(study, f"configs/{shown.name}/{name}.yaml", f"digests/{shown.name}/{name}.txt")
        for name, study in zip(names, shown.studies, strict=True)
    ]


def _file_name(study: ShownStudy) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", study.name)
