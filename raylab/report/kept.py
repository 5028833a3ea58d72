"""Reports that are kept: a report is a pure function of code and artifacts, and measuring and drawing take seconds.

What was last shown of the same studies is in one file, sealed with a checksum and marked with the sha256 of all that
decides it. A file that is damaged, or marked otherwise, is made again; all of them may be removed at any time.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import GenericAlias
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from raylab.engine import code
from raylab.engine.files import replace_file
from raylab.engine.identity import fingerprint, short
from raylab.engine.sealed import seal, unseal
from raylab.engine.study import AnyBuilt
from raylab.report.experiment import AnyExperiment, Results

MADE_WITH = ("jinja2", "matplotlib", "numpy", "pyarrow", "scipy")  # other versions may draw or round differently
_FIELDS: Any = GenericAlias(tuple, tuple(get_type_hints(Results).values())[:-1])  # the last is the evidence
_SHOWN = TypeAdapter[Any](
    _FIELDS, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
)


def results(experiment: AnyExperiment, built: Sequence[AnyBuilt], folder: Path) -> Results:
    """As `experiment.results`, but without evidence: only the scoreboard wants it, and asks for it there."""
    path = folder / f"{experiment.name}-{short(fingerprint(tuple(one.key for one in built)))}.json"
    of = _all_that_decides(experiment, built)
    with suppress(OSError, ValueError, KeyError, TypeError):  # absent, or of another format: it can be made again
        kept, sealed = unseal(path.read_bytes())
        if sealed and kept["of"] == of:
            return Results(*_SHOWN.validate_json(kept["shown"]))
    made = experiment.results(built)._replace(evidence=())
    if any(made.broken):  # is not kept: whoever looks again sees where it broke
        return made
    shown = _SHOWN.dump_json(made[:-1]).decode()
    with suppress(OSError):  # where it cannot be kept, the next run takes longer
        replace_file(str(path), seal({"of": of, "shown": shown}))
    return made


def _all_that_decides(experiment: AnyExperiment, built: Sequence[AnyBuilt]) -> str:
    """The sha256 of the code with what it runs on, and of each study's config, cells and manifests: these have the
    digests of the parts, and where and when they were made, which reports say too."""
    found = sha256(json.dumps([code.digest(), platform.python_version(), *map(metadata.version, MADE_WITH)]).encode())
    for one in built:
        found.update(repr((experiment.name, one.key, one.config, one.missing)).encode())
        for cell, artifact in one.artifacts.items():
            found.update(json.dumps([repr(cell), artifact.folder, artifact.manifest], sort_keys=True).encode())
    return found.hexdigest()
