"""MLflow's database is made whole or not at all; what is old, foreign or half made is told apart."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from mlflow.store.tracking.dbmodels.initial_models import Base
from mlflow_runs import publish, runs, study
from test_mlflow_processes import process

from raylab.tracking import TrackerError
from raylab.tracking.mlflow import connection as mlflow_connection
from raylab.tracking.mlflow import database as mlflow_database
from raylab.tracking.mlflow.connection import explained
from raylab.tracking.mlflow.database import _revision, _scripts, make_whole, with_driver
from raylab.tracking.mlflow.tracker import MlflowTracker

OLD = "a8c4a736bde6"  # a revision of MLflow's schema in the middle of its history


def half_made(path: Path, revision: str) -> None:
    """As MLflow itself leaves it when it is killed after that migration."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    if revision:
        config = Config()
        config.set_main_option("script_location", str(Path(_scripts().dir)))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    engine.dispose()


def revision_of(path: Path) -> str | None:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = _revision(connection)
    engine.dispose()
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_database, "QUIET_SECONDS", 0.3)


@pytest.mark.slow
def test_a_driver_killed_while_it_makes_the_database_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """SIGKILL when so many bytes of it are written; the finished file has about 900,000."""
    moments = [1, 300_000, 700_000]
    killer = process(
        """
        import signal, time
        from pathlib import Path

        def child(uri):
            if (pid := os.fork()) == 0:
                try:
                    MlflowTracker(uri, None).check()
                except BaseException as error:
                    print(error, file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            return pid

        def written(folder):
            total = 0
            for path in folder.rglob("*"):
                try:
                    total += path.stat().st_size if path.is_file() else 0
                except OSError:
                    pass
            return total

        for moment in sys.argv[3:]:
            folder = Path(sys.argv[2], moment)
            folder.mkdir(parents=True)
            uri = f"sqlite:///{folder}/mlflow.db"
            pid = child(uri)
            while written(folder) < int(moment):
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print(killed, os.waitstatus_to_exitcode(os.waitpid(child(uri), 0)[1]))
        """,
        "sqlite://",
        str(tmp_path),
        *map(str, moments),
    )
    out, err = killer.communicate(timeout=280)
    assert (out.splitlines(), err) == (["-9 0"] * len(moments), "")
    for moment in moments:
        folder = tmp_path / str(moment)
        assert [path.name for path in folder.iterdir()] == ["mlflow.db"]  # no draft is left behind
        tracker = MlflowTracker(f"sqlite:///{folder}/mlflow.db", str(folder / "files"))
        publish(tracker, study(1))
        assert len(runs(tracker)) == 2


@pytest.mark.slow
def test_a_disk_that_is_full_while_the_database_is_made_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    full = process(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))  # of any file
        try:
            tracker.check()
        except Exception as error:
            print(error)
        print(sorted(os.listdir(sys.argv[2])))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        tracker.check()
        """,
        f"sqlite:///{tmp_path}/mlflow.db",
        str(tmp_path),
    )
    out, err = full.communicate(timeout=200)
    told, left = out.splitlines()
    assert "it cannot be used (OperationalError: " in told
    assert left == "[]"
    assert (err, full.returncode) == ("", 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("revision", ["", OLD])
def test_a_database_that_was_half_made_is_made_again_and_the_old_file_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], revision: str
) -> None:
    path = tmp_path / "mlflow.db"
    half_made(path, revision)
    MlflowTracker(f"sqlite:///{path}", None).check()
    (kept,) = tmp_path.glob("mlflow.db.half-made-*")
    assert revision_of(kept) == (revision or None)
    assert f"the old file kept as {kept}" in capsys.readouterr().err


def test_every_half_made_state_is_known_as_one(tmp_path: Path) -> None:
    path, config = tmp_path / "mlflow.db", Config()
    config.set_main_option("script_location", str(Path(_scripts().dir)))
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    for table in Base.metadata.sorted_tables:  # each is committed by itself, as each of the migrations is
        table.create(engine)
        assert mlflow_database._is_half_made(path)
    for script in reversed(list(_scripts().walk_revisions())):
        assert mlflow_database._is_half_made(path)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, script.revision)
    assert not mlflow_database._is_half_made(path)
    engine.dispose()


@pytest.mark.usefixtures("impatient")
def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    MlflowTracker(f"sqlite:///{path}", None).check()
    assert [one.name for one in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_database_behind_a_link_is_made_where_the_link_points(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "mlflow.db"
    link.symlink_to(tmp_path / "disk" / "runs.db")
    MlflowTracker(f"sqlite:///{link}", None).check()
    assert link.is_symlink()
    assert (tmp_path / "disk" / "runs.db").stat().st_size > 0


def test_a_database_that_another_program_is_making_is_waited_for(
    empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlflow.db"
    half_made(path, OLD)

    def finished(_: float) -> None:
        shutil.copy(empty_database, path)

    monkeypatch.setattr(time, "sleep", finished)
    MlflowTracker(f"sqlite:///{path}", None).check()
    assert list(tmp_path.iterdir()) == [path]


def test_without_locks_the_first_database_that_is_ready_stays(
    empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "mlflow.db", mlflow_database.os.link

    def beaten(draft: Path, wanted: Path) -> None:
        shutil.copy(empty_database, wanted)
        with contextlib.closing(sqlite3.connect(wanted)) as connection:
            connection.execute("CREATE TABLE of_the_other (x)")
        link(draft, wanted)

    monkeypatch.setattr(mlflow_database.os, "link", beaten)
    make_whole(path, alone=False)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM of_the_other").fetchall() == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(mlflow_database.os, "link", refuse)
    path = tmp_path / "mlflow.db"
    make_whole(path, alone=True)
    assert revision_of(path) == _scripts().get_current_head()
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_schema_with_runs_in_it_is_left_as_it_is_and_has_one_remedy(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    half_made(path, OLD)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'mine', 'active')"
        )
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(TrackerError) as caught:
        MlflowTracker(f"sqlite:///{path}", None).check()
    text = str(caught.value)
    assert text.startswith(f"MLflow at sqlite:///{path}: its schema {OLD} is of an older version, MLflow ")
    assert text.endswith(f"keep a copy of the database and run `mlflow db upgrade sqlite:///{path}`")
    assert path.read_bytes() == before  # MLflow itself would begin to migrate it, without a copy
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    with pytest.raises(TrackerError, match=r"ffffffffffff is of a newer version than MLflow [\d.]+ here; install"):
        MlflowTracker(f"sqlite:///{path}", None).check()


def refused_untouched(path: Path, told: str) -> None:
    """Nothing is written, renamed or made: `mlflow ui` of another version may have it open."""
    before = path.read_bytes()
    with pytest.raises(TrackerError, match=told):
        MlflowTracker(f"sqlite:///{path}", None).check()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("first_experiment", [True, False])  # `mlflow db upgrade` makes a database without it
def test_a_database_without_runs_of_a_newer_mlflow_is_no_half_made_one(
    empty_database: Path, tmp_path: Path, first_experiment: bool
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_database, path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        if not first_experiment:
            connection.execute("DELETE FROM experiments")
        connection.commit()
    refused_untouched(path, r"its schema ffffffffffff is of a newer version than MLflow [\d.]+ here; install that one")


@pytest.mark.usefixtures("impatient")
def test_a_database_without_runs_that_an_older_mlflow_finished_is_no_half_made_one(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    half_made(path, OLD)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (0, 'Default', 'active')"
        )
        connection.commit()
    refused_untouched(path, rf"its schema {OLD} is of an older version, .* run `mlflow db upgrade sqlite:///{path}`")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (number INTEGER)")
    before = path.read_bytes()
    with pytest.raises(TrackerError, match=r"is another program's database \(table trials\); name another file"):
        MlflowTracker(f"sqlite:///{path}", None).check()
    assert path.read_bytes() == before


def test_a_long_cause_ends_at_a_word() -> None:
    whole_words = r"\(ValueError: (detected )+\.\.\.\); the remedy$"
    with pytest.raises(TrackerError, match=whole_words), explained("uri", "no", "the remedy"):
        raise ValueError(" ".join(["detected"] * 200))


@pytest.mark.parametrize(
    ("uri", "installed", "taken"),
    [
        ("postgresql://h/x", {"psycopg2"}, "postgresql+psycopg2"),
        ("postgresql://h/x", {"psycopg2", "psycopg"}, "postgresql+psycopg2"),
        ("postgresql://h/x", {"psycopg"}, "postgresql+psycopg"),
        ("postgresql+psycopg://h/x", {"psycopg2", "psycopg"}, "postgresql+psycopg"),
        ("mysql://h/x", {"pymysql"}, "mysql+pymysql"),
        ("mysql+mysqlconnector://h/x", {"mysql.connector"}, "mysql+mysqlconnector"),
        ("postgresql+pg8000://h/x", {"pg8000"}, "postgresql+pg8000"),
        ("sqlite:////x", set(), "sqlite"),
    ],
)
def test_a_uri_without_a_driver_gets_one_that_is_installed(
    uri: str, installed: set[str], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_database.importlib.util, "find_spec", lambda name: name if name in installed else None)
    assert with_driver(sqlalchemy.make_url(uri)).drivername == taken


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("postgresql://h/x", r"not installed \(psycopg2 or psycopg\); pip install 'raylab\[cluster\]' brings psycopg2"),
        ("postgresql+psycopg://h/x", r"not installed \(psycopg\); pip install"),
        ("mysql://h/x", r"not installed \(MySQLdb or pymysql\)$"),
    ],
)
def test_a_driver_that_is_not_installed_is_told_with_what_brings_it(
    uri: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_database.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrackerError, match=told):
        MlflowTracker(uri, None).check()


def test_a_driver_that_sqlalchemy_does_not_know_is_told_in_its_words() -> None:
    with pytest.raises(TrackerError, match=r"cannot be used \(NoSuchModuleError: .*mysql\.nosuch"):
        MlflowTracker("mysql+nosuch://h/x", None).check()


@pytest.mark.parametrize(
    ("uri", "given"),
    [
        ("mysql+mysqlconnector://h/x", {}),
        ("postgresql+pg8000://h/x", {}),  # has no connect_timeout
        ("postgresql+psycopg2://h/x", {"connect_timeout": 5}),
        ("sqlite:////x", {"timeout": 5}),
    ],
)
def test_only_drivers_that_are_known_get_a_timeout_in_their_words(
    uri: str, given: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, int]] = []

    def create(_: sqlalchemy.URL, connect_args: dict[str, int]) -> None:
        asked.append(connect_args)
        raise OSError("no database")

    monkeypatch.setattr(mlflow_connection.sqlalchemy, "create_engine", create)
    with pytest.raises(OSError, match="no database"), mlflow_connection._opened(sqlalchemy.make_url(uri)):
        pass
    assert asked == [given]
