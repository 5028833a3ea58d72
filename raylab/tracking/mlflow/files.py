"""Where the files of runs lie: folders that were moved with their database, and files that are gone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Where MLflow keeps absolute places of files. It has no call that changes them.
PLACES = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}


def follow(uri: str, location: str, place: str) -> str:
    """Where the files of an experiment are: `location`, which its database names, or `place`, which its home names.

    They were moved to `place`, or copied, where the database lies in the same folder as they would, and they are in
    `place` or no longer in `location`. A database that lies elsewhere is shared: what is gone from here may well be on
    another machine, and stays as it is told. Once they were moved, the database is told so, of the other experiments
    beside this one too where their files came along, and of runs that people added.
    """
    here, there = _local(place), _local(location)
    if here is None or there is None or here == there or (here.exists() and there.exists() and here.samefile(there)):
        return location
    url, home = sqlalchemy.make_url(uri), here.parent.parent.resolve()
    # Through links: two homes may link to one database.
    beside = url.get_backend_name() == "sqlite" and Path(str(url.database)).resolve().parent == home
    if not beside or (there.exists() and not here.exists()):
        return location
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            for old, new in [(location, place), *_came_along(connection, location, place)]:
                _repoint(connection, old, new)
    finally:
        engine.dispose()
    return place


def _came_along(connection: sqlalchemy.Connection, location: str, place: str) -> list[tuple[str, str]]:
    """Old and new place of the other experiments whose files lay beside those in `location` and lie beside `place`."""
    (old, name), (new, new_name) = location.rsplit("/", 1), place.rsplit("/", 1)
    if name != new_name:  # a person named this place: it does not say where the others' are
        return []
    column = sqlalchemy.column(PLACES["experiments"], sqlalchemy.String)
    query = sqlalchemy.select(column).select_from(sqlalchemy.table("experiments"))
    parts = [known.rpartition("/") for known in connection.scalars(query) if known and known != location]
    pairs = [(f"{old}/{other}", f"{new}/{other}") for root, _, other in parts if root == old]
    return [(was, now) for was, now in pairs if (folder := _local(now)) and folder.exists()]


def _repoint(connection: sqlalchemy.Connection, old: str, new: str) -> None:
    for name, column_name in PLACES.items():
        column = sqlalchemy.column(column_name, sqlalchemy.String)
        # Not LIKE, for which SQLite takes large and small letters as the same.
        below = sqlalchemy.func.substr(column.concat("/"), 1, len(old) + 1) == f"{old}/"
        moved = sqlalchemy.literal(new).concat(sqlalchemy.func.substr(column, len(old) + 1))
        connection.execute(sqlalchemy.update(sqlalchemy.table(name, column)).where(below).values({column_name: moved}))


def writable(location: str) -> None:
    """Raises OSError for a folder in which no files can be written: before anything is computed."""
    if folder := _local(location):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def missing(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that the run has not, or has with another size."""
    folders = {path.rpartition("/")[0] for path in files}
    there = {file.path: file.file_size for folder in folders for file in client.list_artifacts(run_id, folder or None)}
    return {path: data for path, data in files.items() if there.get(path) != len(data)}


def write(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """Into the run's artifacts; what else is there stays."""
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        client.log_artifacts(run_id, folder)


def _local(location: str) -> Path | None:
    parts = urlsplit(location)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None
