"""Golden results: everything that the embedded suite says, as JSON, to compare two states of the code on one store.

python jobs/reproduce.py                                # builds the store
python tests/golden.py write FOLDER [EXPERIMENT ...]    # by the code of before
python tests/golden.py compare FOLDER [EXPERIMENT ...]  # by the code of after: exit code 1 where something is lost

Compared are, for every study: evidence for the scoreboard and verdicts (equal), the numbers of CSVs, of the parent run
and of its children (each number of before is there still, whatever it is called now).
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raylab.engine.store import Store
from raylab.site import home
from raylab.suites import Reproduce, parts

CONFIGS = Path(__file__).parent.parent / "configs"


def dumps(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    store = Store(str(home() / "store"))
    for part in parts(Reproduce(), CONFIGS):
        if names and part.name not in names:
            continue
        built = part.built({}, {}, store)
        assert not built.missing, f"{part.name} {part.study.config.study}: the store lacks a part of it"
        results = part.experiment.results([built])
        (publication,) = results.publications
        yield (
            f"{part.name}.{part.study.config.study}",
            {
                "evidence": [repr(one) for one in (results.evidence[0] if results.evidence else ())],
                "note": publication.parent.note.splitlines(),
                "parent": dict(publication.parent.metrics),
                "children": [dict(one.metrics) for one in publication.children],
                "csv": {name: data.decode() for name, data in publication.files.items() if name.endswith(".csv")},
                "figures": sorted(name for name in publication.files if name.endswith(".svg")),
                "text": results.texts[0],
            },
        )


def numbers(dump: dict[str, Any]) -> dict[str, Counter[str]]:
    """By place, every number, with six digits."""
    of_csv: Counter[str] = Counter()
    for text in dump["csv"].values():
        for row in csv.reader(io.StringIO(text)):
            of_csv.update(digits(cell) for cell in row if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", cell))
    children: Counter[str] = Counter()
    for one in dump["children"]:
        children.update(digits(value) for value in one.values() if math.isfinite(value))
    parent = Counter(digits(value) for value in dump["parent"].values() if math.isfinite(value))
    return {"csv": of_csv, "children": children, "parent": parent}


def digits(value: str | float) -> str:
    return f"{float(value):.6g}"


def lost(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if (before := Counter(old["evidence"])) != (after := Counter(new["evidence"])):
        yield from (f"evidence lost: {one}" for one in (before - after))
        yield from (f"evidence new:  {one}" for one in (after - before))
    for line in old["note"]:
        if line and line not in new["note"]:
            yield f"verdict or note lost: {line}"
    before_numbers, after_numbers = numbers(old), numbers(new)
    everywhere = after_numbers["csv"] + after_numbers["children"] + after_numbers["parent"]
    for place, found in before_numbers.items():
        if gone := [one for one in found if one not in everywhere]:
            yield f"{place}: {len(gone)} of {len(found)} numbers lost: {', '.join(gone[:12])}"
    if len(new["children"]) < len(old["children"]):
        yield f"children: {len(old['children'])} became {len(new['children'])}"
    if len(new["figures"]) < len(old["figures"]):
        yield f"figures: {old['figures']} became {new['figures']}"


def main() -> None:
    what, folder, *names = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    differences = 0
    for name, dump in dumps(names):
        path = Path(folder) / f"{name}.json"
        if what == "write":
            path.write_text(json.dumps(dump, indent=1))
            continue
        found = list(lost(json.loads(path.read_text()), dump))
        differences += len(found)
        print(f"{name}: {'equal' if not found else ''}", *found, sep="\n  " if found else "")
    sys.exit(min(differences, 1))


if __name__ == "__main__":
    main()
