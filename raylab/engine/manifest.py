"""The manifest of an artifact: what is in it, and how much of it can be held against itself when it is read.

Since it carries a checksum, all of it. One that was written before has none: its key is computed again from kind,
version, config and inputs, its digest from its parts, and the rows are compared with the parts' own footers when they
are asked for (`Artifact.rows`). Of its metrics, names and provenance nothing else tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raylab.engine.artifact import CorruptArtifact, Part, digest_of
from raylab.engine.identity import canonical, fingerprint_of_json
from raylab.engine.sealed import unseal
from raylab.engine.stage import Stage

SCHEMA = 1
IDENTITY = ("kind", "version", "config", "inputs")  # what the key is made of
TYPES: Mapping[str, type] = {
    "schema": int,
    "kind": str,
    "version": int,
    "name": str,
    "key": str,
    "config": object,  # any JSON: the key vouches for it
    "inputs": dict,
    "parts": list,
    "metrics": dict,
    "digest": str,
    "provenance": dict,
}
JSON_NAMES = {int: "a whole number", str: "a text", dict: "an object", list: "a list"}


def draft(stage: Stage, parts: Sequence[Part], metrics: Mapping[str, object]) -> dict[str, Any]:
    """All but the digest and the provenance."""
    return {
        "schema": SCHEMA,
        "kind": stage.kind,
        "version": stage.version,
        "name": stage.name,
        "key": stage.key,
        "config": canonical(stage.config),
        "inputs": {role: needed.key for role, needed in stage.inputs.items()},
        "parts": [asdict(part) for part in parts],
        "metrics": canonical(metrics, "metrics"),
    }


def read(data: bytes, path: str) -> tuple[dict[str, Any], bool]:
    """The manifest in a file, and whether a checksum vouches for all of it.

    Raises CorruptArtifact, which names the path, the rule and the remedy, where it is not what was committed.
    """
    try:
        manifest, sealed = unseal(data)
        if not isinstance(manifest, dict) or type(manifest.get("schema")) is not int:
            raise ValueError("an object with a schema is needed")
        if manifest["schema"] != SCHEMA:
            raise CorruptArtifact(
                f"{path}: schema {manifest['schema']}, this raylab reads {SCHEMA}; use another store, or the raylab "
                "that wrote it"
            )
        _check_fields(manifest, sealed)
        _check_sums(manifest)
    except ValueError as error:
        raise CorruptArtifact(f"{path}: not a manifest ({error}); remove it to build again") from error
    return manifest, sealed


def _check_fields(manifest: Mapping[str, Any], sealed: bool) -> None:
    absent = [name for name in TYPES if name not in manifest]
    if absent:
        raise ValueError(f"without {', '.join(absent)}")
    for name, wanted in TYPES.items():
        is_flag = isinstance(manifest[name], bool)  # an int to isinstance
        if not isinstance(manifest[name], wanted) or (is_flag and wanted is int):
            raise ValueError(f"{name}: {JSON_NAMES[wanted]} is needed, got {manifest[name]!r:.80}")
    unknown = sorted(manifest.keys() - TYPES.keys())
    if unknown and not sealed:  # what had no checksum had these fields alone: the word "checksum" itself may be damaged
        raise ValueError(f"{', '.join(unknown)}: no field of a manifest without a checksum")


def _check_sums(manifest: Mapping[str, Any]) -> None:
    """What is computed from other fields, computed again."""
    key = fingerprint_of_json({name: manifest[name] for name in IDENTITY})
    if key != manifest["key"]:
        raise ValueError(f"it names the key {manifest['key']}; its {', '.join(IDENTITY)} make {key}")
    digest = digest_of(tuple(Part.of_json(part) for part in manifest["parts"]))
    if digest != manifest["digest"]:
        raise ValueError(f"it names the digest {manifest['digest']}; its parts make {digest}")
