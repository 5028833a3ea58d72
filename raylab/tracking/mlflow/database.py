"""MLflow's own database: made whole or not at all, with a driver that is installed and the schema that MLflow wants.

MLflow makes a SQLite file by some fifty migrations, a second or more, each of them committed by itself. A driver that
is killed meanwhile, or finds no space, would leave a file that no later MLflow can use or mend. So the file is made
under another name, in a folder beside its place, and gets its own name when the schema is complete.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import mlflow.store.db_migrations
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from raylab.tracking import TrackerError

# Database -> SQLAlchemy's names of drivers and their modules, those that are tried first in front. SQLAlchemy 2.1 takes
# psycopg for a URI that names none; the extra `cluster` installs psycopg2, as MLflow's own documentation has it.
DRIVERS = {
    "postgresql": {"psycopg2": "psycopg2", "psycopg": "psycopg"},
    "mysql": {"mysqldb": "MySQLdb", "pymysql": "pymysql"},
    "mssql": {"pyodbc": "pyodbc", "pymssql": "pymssql"},
}
QUIET_SECONDS = 10.0  # MLflow's longest pause between two migrations is an import, seconds on a busy machine


def with_driver(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """The same with the name of a driver that is installed, where it names none. Raises TrackerError without one.

    A driver that is named and not in DRIVERS is SQLAlchemy's to find: its module may have any name.
    """
    database, _, named = url.drivername.partition("+")
    known = DRIVERS.get(database, {})
    if not known or (named and named not in known):
        return url
    candidates = {named: known[named]} if named else known
    for driver, module in candidates.items():
        if importlib.util.find_spec(module) is not None:
            return url.set(drivername=f"{database}+{driver}")
    extra = "; pip install 'raylab[cluster]' brings psycopg2" if database == "postgresql" else ""
    raise TrackerError(f"its driver is not installed ({' or '.join(candidates.values())}){extra}")


def check_schema(connection: sqlalchemy.Connection) -> None:
    """Raises TrackerError where another version of MLflow wrote it. (One without any schema is MLflow's to fill.)"""
    found, wanted = _revision(connection), _head()
    if found in (None, wanted):
        return
    installed = f"MLflow {mlflow.__version__}"
    if found not in _known():
        raise TrackerError(f"its schema {found} is of a newer version than {installed} here; install that one")
    uri = connection.engine.url.render_as_string()
    raise TrackerError(
        f"its schema {found} is of an older version, {installed} wants {wanted}; keep a copy of the database and run "
        f"`mlflow db upgrade {uri}`"
    )


def make_whole(path: Path, alone: bool) -> None:
    """Make the SQLite database where there is none, or one whose making broke off. `alone`: no other driver is in here.

    Raises TrackerError where the file is another program's.
    """
    path = path.resolve()  # through a link: a rename would take its place
    if alone:
        for left in path.parent.glob(f".{path.name}-*"):  # of drivers that were killed
            shutil.rmtree(left, ignore_errors=True)
    while path.exists() and _is_half_made(path):
        if _is_quiet(path):  # or else another program is making it: an older raylab, `mlflow ui`
            _put_aside(path)
    if not path.exists():
        _make(path)


def _make(path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent, ignore_cleanup_errors=True) as folder:
        draft = Path(folder, path.name)
        store = SqlAlchemyStore(f"sqlite:///{draft}", str(path.parent / "mlruns"))
        store.engine.dispose()  # SQLite must not have it open under two names
        try:
            os.link(draft, path)  # unlike a rename it takes nobody's place
        except FileExistsError:
            pass  # without locks another driver may have been faster: its database is as good
        except OSError:  # a file system without hard links
            draft.rename(path)


def _is_half_made(path: Path) -> bool:
    """Whether no MLflow, of whatever version, has finished making it.

    An MLflow writes its first experiment when its schema is complete, so that an older one's database holds a row. And
    a revision that is not known here is beyond the last one of the installed version. Raises TrackerError where its
    tables are not MLflow's.
    """
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    try:
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
            revision = _revision(connection)
            if revision == _head() or (revision is not None and revision not in _known()):
                return False
            if tables and not tables & {"experiments", "_alembic_tmp_experiments", "alembic_version"}:
                raise TrackerError(f"{path} is another program's database (table {min(tables)}); name another file")
            return not any(_holds_rows(connection, table) for table in tables)
    finally:
        engine.dispose()


def _holds_rows(connection: sqlalchemy.Connection, table: str) -> bool:
    if table in ("alembic_version", "workspaces"):
        return False  # migrations fill them
    return bool(connection.exec_driver_sql(f'SELECT EXISTS (SELECT 1 FROM "{table}")').scalar())


def _is_quiet(path: Path) -> bool:
    """Whether nobody has written to it for a while, which this waits for."""

    def state() -> list[tuple[int, int]]:
        files = [path, path.with_name(f"{path.name}-journal"), path.with_name(f"{path.name}-wal")]
        return [(stat.st_mtime_ns, stat.st_size) for file in files if file.exists() for stat in [file.stat()]]

    before, end = state(), time.monotonic() + QUIET_SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        with suppress(FileNotFoundError):  # a journal comes and goes
            if state() != before:
                return False
    return True


def _put_aside(path: Path) -> None:
    if path.stat().st_size == 0:
        path.unlink()
        return
    kept = path.with_name(f"{path.name}.half-made-{time.strftime('%Y%m%d-%H%M%S')}")
    path.rename(kept)
    print(
        f"MLflow's database {path} was only half made: it is made again, and the old file kept as {kept}",
        file=sys.stderr,
    )


def _revision(connection: sqlalchemy.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _head() -> str | None:
    """The revision of the schema that the installed MLflow wants."""
    return _scripts().get_current_head()


def _known() -> set[str]:
    """All revisions up to that one."""
    return {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent))
