"""How a study was made: config, code, machines, the content of its data and sets, times. All from manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylab.config import Config, to_yaml
from raylab.engine.artifact import Artifact


@dataclass(frozen=True)
class Work:
    """What was recorded of one kind of artifact."""

    kind: str
    count: int
    seconds: float  # that its tasks and shards took, added up
    uncounted: int  # artifacts of an older raylab, which kept the seconds since their round had begun


@dataclass(frozen=True)
class Made:
    config: str  # YAML
    commits: tuple[str, ...]  # "abc123 (changed since), 120 artifacts", the most used first
    machines: tuple[str, ...]
    packages: Mapping[str, str]  # of the newest artifact
    argv: str
    first: str  # ISO times of the first and last artifact
    last: str
    work: tuple[Work, ...]
    contents: tuple[Artifact, ...]  # the data sets


def made(
    config: Config,
    cells: Mapping[Any, Artifact],  # by cell; a cell has a `role`
    sets: Sequence[str] = ("data", "set", "test_set", "shown", "band"),  # roles of data sets: listed by digest
) -> Made:
    """Everything that the artifacts of a study say about their making."""
    artifacts = list({a.key: a for a in cells.values()}.values())
    origins = [_origin(a) for a in artifacts]
    kinds = sorted({str(a.manifest["kind"]) for a in artifacts})
    times = sorted(str(o["finished"]) for o in origins if o.get("finished"))
    newest = newest_provenance(cells.values())
    listed = {a.key: a for role in sets for cell, a in cells.items() if cell.role == role}
    return Made(
        to_yaml(config),
        _counted(_commit(o) for o in origins),
        _counted(f"{o.get('device', 'unknown device')} on {o.get('machine', 'unknown machine')}" for o in origins),
        {"python": str(newest.get("python", "unknown")), **dict(newest.get("packages", {}))},
        str(newest.get("argv", "")),
        times[0] if times else "",
        times[-1] if times else "",
        tuple(_work(kind, [a for a in artifacts if a.manifest["kind"] == kind]) for kind in kinds),
        tuple(listed.values()),
    )


def newest_provenance(artifacts: Iterable[Artifact]) -> Mapping[str, Any]:
    """Of the artifact that was finished last."""
    newest = max(artifacts, key=lambda a: str(a.manifest["provenance"].get("finished", "")))
    return dict(newest.manifest["provenance"])


def _origin(artifact: Artifact) -> Mapping[str, Any]:
    return dict(artifact.manifest["provenance"])


def _work(kind: str, artifacts: list[Artifact]) -> Work:
    counted = [a for a in artifacts if has_own_seconds(a)]
    seconds = sum(float(_origin(a).get("seconds", 0.0)) for a in counted)
    return Work(kind, len(artifacts), seconds, len(artifacts) - len(counted))


def has_own_seconds(artifact: Artifact) -> bool:
    """Whether its seconds are what it cost itself. Until December 2026 those of an artifact that was made by shards
    (whose parts name a device) were the seconds since its round had begun."""
    return "passes" in _origin(artifact) or not any(part.device for part in artifact.parts)


def _commit(origin: Mapping[str, Any]) -> str:
    commit, dirty = str(origin.get("commit", "unknown"))[:12], origin.get("dirty")
    return f"{commit}{' with uncommitted changes' if dirty else ''}{commit_note(origin)}"


def commit_note(origin: Mapping[str, Any]) -> str:
    """Why the commit, or whether the code was changed since, is not known, and which code it was; nothing of what an
    older raylab made, or where both are known."""
    if not origin.get("commit_note"):
        return ""
    return f" ({origin['commit_note']}; the code's own sha256 is {str(origin.get('code', 'unknown'))[:12]})"


def _counted(values: Any) -> tuple[str, ...]:
    found = Counter(values).most_common()
    return tuple(value if len(found) == 1 else f"{value} ({count} artifacts)" for value, count in found)
