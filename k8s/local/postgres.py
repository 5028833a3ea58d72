"""A PostgreSQL of one's own: a folder, a port of this machine, a password; nothing of the system's is touched."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

OWNER = "postgres"  # Debian's account: PostgreSQL refuses to run as root
ROLE = "raylab"


def program(name: str) -> str:
    """Debian keeps them out of PATH. Raises RuntimeError where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    if found is None:
        raise RuntimeError(f"{name} is not installed; on Debian: apt-get install postgresql")
    return found


def user() -> str | None:
    """Who runs it: Debian's account in the place of root, otherwise whoever asks. Raises RuntimeError without one."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(OWNER).pw_name
    except KeyError:
        raise RuntimeError(
            f"PostgreSQL refuses to run as root, and there is no account {OWNER}: useradd --system {OWNER}, "
            "or run this as an ordinary user"
        ) from None


def initialise(data: Path, password: str) -> None:
    """Make the folder of an empty database cluster, in which a password is asked for from the start."""
    data.mkdir(mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="rl-", dir="/tmp") as file:  # mode 0600
        file.write(password)
        file.flush()
        if owner := user():
            account = pwd.getpwnam(owner)
            for path in (str(data), file.name):
                os.chown(path, account.pw_uid, account.pw_gid)
        command = [program("initdb"), "-D", str(data), "-U", ROLE, "--auth=scram-sha-256", f"--pwfile={file.name}"]
        command += ["--encoding=UTF8", "--locale=C"]
        as_owner = {"user": owner, "group": owner, "extra_groups": []} if owner else {}
        done = subprocess.run(command, cwd="/tmp", capture_output=True, text=True, check=False, **as_owner)
    if done.returncode:
        raise RuntimeError(f"initdb in {data}: {done.stderr.strip()}; may {owner or 'you'} reach that folder?")


def ready(port: str, password: str, database: str) -> bool:
    """Whether it answers; the database is made where there is none."""
    import psycopg2

    try:
        connection = psycopg2.connect(host="127.0.0.1", port=port, user=ROLE, password=password, dbname="postgres")
    except psycopg2.OperationalError:
        return False
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
        if cursor.fetchone() is None:
            cursor.execute(f'CREATE DATABASE "{database}"')
    connection.close()
    return True
