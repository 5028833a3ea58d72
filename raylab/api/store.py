"""A store to read: runs and tables as data frames, images as tensors, networks as modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raylab.api import export as exporting
from raylab.api.card import card, class_names
from raylab.api.export import Exported, Format
from raylab.api.sets import Constructed, ImageSet, Inverted
from raylab.config.document import did_you_mean
from raylab.core.networks import Network
from raylab.engine import kept_runs
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.columns import Batch
from raylab.engine.identity import KEY_PREFIX, short
from raylab.engine.store import Store
from raylab.site import SiteFile
from raylab.stages.images import to_tensor
from raylab.stages.weights import WEIGHTS, load_network

if TYPE_CHECKING:
    import pandas as pd

SHORTEST = 4  # hex digits of a key that somebody types
KINDS: Mapping[str, type[ImageSet]] = {"constructed": Constructed, "inverted": Inverted}


def open_store(uri: str | None = None) -> ReadStore:
    """The store at a path or URI (s3://, gs://, hdfs://); None: the one of this machine's jobs, in RAYLAB_HOME.

    Raises StoreError where it cannot be opened.
    """
    return ReadStore(Store(uri or SiteFile().store_uri))


class ReadStore:
    """What jobs have made."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"open_store({self.store.shown!r})"

    def runs(self) -> pd.DataFrame:
        """A line for each study that was reported, the last one at the end: run (the start of its key), experiment,
        study, verdict, finished, commit, tables."""
        import pandas as pd

        names = ["run", "experiment", "study", "verdict", "finished", "commit", "tables"]
        lines = [
            (short(run.key), run.experiment, run.study, run.verdict, run.finished, run.commit, ", ".join(run.tables))
            for run in kept_runs.kept(self.store)
        ]
        return pd.DataFrame(lines, columns=names)

    def table(self, experiment: str, study: str | None = None, name: str | None = None) -> pd.DataFrame:
        """A table of all runs of an experiment, or of those of one study, one below the other; columns run and study
        say whose a row is. Shares lie in [0, 1]; what was not measured is NaN.

        name: None is the table that a terminal shows.  Raises ValueError where there is no such run or table.
        """
        import pandas as pd

        kept = kept_runs.kept(self.store)
        if not (found := [run for run in kept if run.experiment == experiment]):
            raise ValueError(_absent("experiment", experiment, [run.experiment for run in kept], self.store))
        if study is not None:
            if not (of_study := [run for run in found if run.study == study]):
                raise ValueError(_absent("study", study, [run.study for run in found], self.store))
            found = of_study
        frames = []
        for run in found:
            wanted = run.headline if name is None else name
            if wanted not in run.tables:
                raise ValueError(_absent("table", wanted, list(run.tables), self.store))
            table = run.tables[wanted]
            frames.append(pd.DataFrame(list(table.rows), columns=list(table.columns)))
        whose = [
            (short(run.key), run.study) for run, frame in zip(found, frames, strict=True) for _ in range(len(frame))
        ]
        values = pd.concat(frames, ignore_index=True).apply(_numbers)
        return pd.concat([pd.DataFrame(whose, columns=["run", "study"]), values], axis=1)

    def artifacts(self, kind: str | None = None) -> pd.DataFrame:
        """A line for each artifact, or for those of one kind: key (its start), kind, name, rows, bytes, finished.

        Raises ValueError where there is no such kind.
        """
        import pandas as pd

        kinds = self.store.kinds()
        if kind is not None and kind not in kinds:
            raise ValueError(_absent("kind", kind, kinds, self.store))
        folders = [folder for one in kinds if kind in (None, one) for folder in self.store.folders(one)]
        found = [artifact for artifact in self.store.map_parallel(self.store.at, folders) if artifact is not None]
        lines = [_line(artifact) for artifact in found]
        return pd.DataFrame(sorted(lines, key=lambda line: line[-1]), columns=list(COLUMNS))

    def artifact(self, key: str) -> Artifact:
        """By its key or the start of it, at least 4 hex digits.  Raises StoreError where none or several have it."""
        if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},64}}", key):
            raise StoreError(f"key {key!r}: {SHORTEST} to 64 hex digits; see `raylab store ls all`")
        folders = [folder for kind in self.store.kinds() for folder in self.store.folders(kind)]
        near = [folder for folder in folders if folder.rsplit("/", 1)[-1].startswith(key[:KEY_PREFIX])]
        found = [one for one in map(self.store.at, near) if one is not None and one.key.startswith(key)]
        if len(found) != 1:
            what = f"several: {', '.join(one.label for one in found)}" if found else "none"
            raise StoreError(f"key {key}: one artifact, got {what} in {self.store.shown}; see `raylab store ls all`")
        return found[0]

    def images(self, key: str) -> ImageSet:
        """Images in [0, 1], labels, ids and digest of a data set; of a constructed set also source labels and success.

        Raises StoreError where there is none of that key, or it holds no images.
        """
        artifact = self.artifact(key)
        tabular = any(part.rows is not None for part in artifact.parts)
        if not tabular or "image" not in artifact.table(0, 0).column_names:
            raise StoreError(f"{artifact.label}: {_a(artifact)}, which holds no images")
        of = KINDS.get(str(artifact.manifest["kind"]), ImageSet)
        return of(artifact.batch(), artifact.metrics, artifact.digest, inputs=dict(artifact.manifest["inputs"]))

    def network(self, key: str, device: str = "cpu") -> Network:
        """In eval mode with frozen parameters: from images in [0, 1] to logits, as every function here takes it.

        Raises StoreError where there is none of that key, or it is no network.
        """
        artifact = self.artifact(key)
        if WEIGHTS not in [part.name for part in artifact.parts]:
            raise StoreError(f"{artifact.label}: {_a(artifact)}, which is no network")
        return load_network(artifact, device)

    def export(
        self, key: str, folder: str | Path, format: Format = "npz", pixels: Literal["float32", "uint8"] = "float32"
    ) -> list[Path]:
        """The data set of a key as files that others read without raylab, beside a card that says what it is.

        format: "torch" (the layout of MadryLab/constructed-datasets), "npz", "huggingface" or "webdataset".
        pixels: "uint8" rounds the images to 8 bits first.

        Raises ValueError where rounding would destroy the perturbation, or the folder holds something already.
        """
        artifact = self.artifact(key)
        rows = dict(self.images(key).columns)
        split = str(artifact.config.get("split", "train"))
        rows["image"] = to_tensor(rows["image"], "cpu").numpy()
        if pixels not in ("float32", "uint8"):
            raise ValueError(f"pixels: float32 or uint8, got {pixels!r}")
        if pixels == "uint8":
            self._check_rounding(artifact, rows)
            rows["image"] = exporting.rounded(rows["image"]) / np.float32(255)
        kept = {name: column for name, column in rows.items() if name == "image" or column.ndim == 1}
        said = card(artifact, self._found, split, pixels == "uint8")
        exported = Exported(kept, split, class_names(artifact, self._found), said)
        return exporting.write(exported, format, Path(folder).expanduser())

    def _check_rounding(self, artifact: Artifact, rows: Batch) -> None:
        """Of images that were pushed; others have no perturbation."""
        clean = self._found(str(artifact.manifest["inputs"].get("data", "")))
        if artifact.manifest["kind"] == "constructed" and clean is not None:
            before = clean.batch()
            order = np.argsort(before["id"])
            places = order[np.searchsorted(before["id"], rows["id"], sorter=order)]
            exporting.check_rounding(rows["image"], to_tensor(before["image"], "cpu").numpy()[places])

    def _found(self, key: str) -> Artifact | None:
        """None where the store has it not: it may have been tidied away."""
        try:
            return self.artifact(key)
        except StoreError:
            return None


COLUMNS = ("key", "kind", "name", "rows", "bytes", "finished")


def _line(artifact: Artifact) -> tuple[Any, ...]:
    made = artifact.manifest
    rows = sum(part.rows or 0 for part in artifact.parts)
    size = sum(part.bytes for part in artifact.parts)
    return short(artifact.key), made["kind"], made["name"], rows, size, str(made["provenance"].get("finished", ""))


def _numbers(column: pd.Series) -> pd.Series:
    """A column as numbers, where all that it holds are: files have them as digits, and "" for what was not measured."""
    import pandas as pd

    given = column.mask(column == "")
    numbers = pd.to_numeric(given, errors="coerce")
    return numbers if (numbers.notna() == given.notna()).all() else given


def _a(artifact: Artifact) -> str:
    kind = str(artifact.manifest["kind"])
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"


def _absent(what: str, given: str, known: list[str], store: Store) -> str:
    names = sorted(set(known))
    remedy = did_you_mean(given, names) or f"there are {', '.join(names) or 'none'}"
    return f"{what} {given!r}: not in the store {store.shown}; {remedy}"
