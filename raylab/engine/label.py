"""A name that carries what it names: a network of one's own stands where the name of a built-in one does."""

from __future__ import annotations

from typing import Any


class Label(str):
    """A short text for cells, tables and messages, equal to any other text of its letters, and what it stands for.

    In the canonical form of a config it is what it stands for.
    """

    meaning: Any

    def __new__(cls, text: str, meaning: Any) -> Label:
        label = super().__new__(cls, text)
        label.meaning = meaning
        return label

    def __getnewargs__(self) -> tuple[str, Any]:  # type: ignore[override]  # of a str: the text alone
        return str(self), self.meaning


def meaning_of(name: str) -> Any:
    """What a label stands for; None of plain text."""
    return name.meaning if isinstance(name, Label) else None
