"""What was run, with which code, on what and when: the provenance of a scoreboard."""

from __future__ import annotations

from typing import NamedTuple


class About(NamedTuple):
    """In words that a reader of a table wants."""

    suite: str  # "embedded"
    command: str  # that gives the same: "python jobs/reproduce.py suite=embedded"
    commit: str  # of the code, and in words how many others took part, and whether any had been changed
    hardware: str  # "two CPU cores"
    date: str  # ISO: "2026-11-21"
    missing: tuple[str, ...] = ()  # what is not shown although the suite has it, and why

    @property
    def short_commit(self) -> str:
        """Twelve letters, and whatever is said after it: abc123abc123 with uncommitted changes."""
        commit, *rest = self.commit.split(" ", 1)
        return " ".join([commit[:12], *rest])
