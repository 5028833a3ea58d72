"""Where the files of runs lie: folders that were moved with their database, and files that are gone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy

from raylab.mlflow_database import with_driver

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Where MLflow keeps absolute places of files. It has no call that changes them.
PLACES = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}


def follow(uri: str, location: str, place: str) -> str:
    """Where the files of an experiment are: `location`, which its database names, or `place`, which its home names.

    They were moved to `place` where two of three signs say so: the database lies in the same folder as the files would,
    the files are in `place`, `location` is gone. Then whatever the database has below the old root is told to be below
    the new one, files of all experiments and of runs that people added too.
    """
    here, there = _local(place), _local(location)
    if here is None or there is None or here == there or (here.exists() and there.exists() and here.samefile(there)):
        return location
    url = with_driver(sqlalchemy.make_url(uri))
    home = here.parent.parent.resolve()
    beside = url.get_backend_name() == "sqlite" and Path(str(url.database)).parent.resolve() == home
    if beside + here.exists() + (not there.exists()) < 2:
        return location
    old, new = location.rsplit("/", 1)[0], place.rsplit("/", 1)[0]
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            for name, column_name in PLACES.items():
                column = sqlalchemy.column(column_name, sqlalchemy.String)
                table = sqlalchemy.table(name, column)
                below = sqlalchemy.update(table).where(column.startswith(f"{old}/", autoescape=True))
                connection.execute(below.values({column_name: sqlalchemy.func.replace(column, f"{old}/", f"{new}/")}))
    finally:
        engine.dispose()
    return place


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
