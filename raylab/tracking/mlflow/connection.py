"""A connection to MLflow: which URIs are taken, how long is waited, and what people are told when it fails."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

# The first is read while mlflow is imported; the others would mix lines and bars into a job's output.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# One request to a server that is gone: a minute where it refuses (tried again after 0, 4, 8, 16 and 32 s), four where
# nothing comes back. MLflow's own 7 tries, of 120 s each, make five minutes and twenty.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import sqlalchemy
from mlflow import MlflowClient

from raylab.engine.redaction import public, redacted
from raylab.tracking import TrackerError
from raylab.tracking.mlflow.database import DRIVERS, check_schema, make_whole, with_driver

SERVERS = ("http", "https", "databricks")
# Scheme of a database -> how its driver spells the timeout of a connection ("": no driver-independent way).
DATABASES = {"sqlite": "timeout", "postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": ""}
QUICK_SECONDS = 5  # for whatever must not keep a person waiting
LONGEST_CAUSE = 600  # characters of an error's own text: SQLAlchemy's have the whole statement at their end


def scheme(uri: str) -> str:
    """As in SERVERS and DATABASES: ``postgresql`` of ``postgresql+psycopg2://...``."""
    return urlsplit(uri).scheme.split("+")[0] or uri


def connect(uri: str) -> MlflowClient:
    """A client; a database is created where there is none, and is known to be writable.

    Raises ValueError for a URI that is not taken, and whatever drivers raise where a database cannot be opened.
    """
    kind = scheme(uri)
    if kind in SERVERS:
        return MlflowClient(uri)
    if kind not in DATABASES:
        known = ", ".join([*SERVERS, *DATABASES])
        raise ValueError(f"a tracking URI begins with one of {known}; a folder becomes sqlite:////folder/mlflow.db")
    # All that it complains of is raised as well, and that a database was made is no news.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    url = with_driver(sqlalchemy.make_url(uri))
    if kind != "sqlite":
        with _opened(url) as connection:
            check_schema(connection)
        return MlflowClient(url.render_as_string(hide_password=False))
    path = Path(url.database or "mlflow.db")
    if not path.is_absolute():
        raise ValueError(f"relative paths differ between working directories; write sqlite:///{path.absolute()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent) as alone:
        make_whole(path, alone)
        with _opened(url) as connection:
            check_schema(connection)
            connection.rollback()
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # takes the lock of a writer
        return MlflowClient(uri)


@contextmanager
def explained(uri: str, what: str, remedy: str) -> Iterator[None]:
    """Any failure inside becomes a TrackerError: databases, HTTP and object stores raise errors of their own. A
    TrackerError of the inside has its own remedy, which takes the place of `remedy`."""
    outside = sys.exception()
    try:
        yield
    except TrackerError as error:
        raise TrackerError(f"MLflow at {public(uri)}: {error}") from error
    except Exception as error:
        raise TrackerError(f"MLflow at {public(uri)}: {what} ({_cause(error, outside, uri)}); {remedy}") from error


@contextmanager
def quick() -> Iterator[None]:
    """One attempt, seconds: MLflow's own patience is minutes, right for publishing and wrong for a check."""
    wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(QUICK_SECONDS), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _cause(error: BaseException, outside: BaseException | None, uri: str) -> str:
    """The bottom of a chain of exceptions, in a line (the refused connection, not three layers above it); not as deep
    as one that was being handled before any of this began."""
    while (deeper := error.__cause__ or error.__context__) not in (None, outside):
        error = deeper
    text = textwrap.shorten(redacted(str(error), uri), LONGEST_CAUSE, placeholder=" ...")
    return f"{type(error).__name__}: {text}"


@contextmanager
def _opened(url: sqlalchemy.URL) -> Iterator[sqlalchemy.Connection]:
    """One attempt, seconds: MLflow itself retries for most of an hour."""
    kind = url.get_backend_name()
    # A driver that is not in the table spells it in its own way, and would refuse this one.
    timeout = DATABASES[kind] if kind not in DRIVERS or url.get_driver_name() in DRIVERS[kind] else ""
    engine = sqlalchemy.create_engine(url, connect_args={timeout: QUICK_SECONDS} if timeout else {})
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """One driver at a time creates a database. False where the file system has no locks: then several may, and the
    first that is ready wins."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            alone = True
        except OSError:  # some network file systems
            alone = False
        yield alone
    finally:
        os.close(handle)
