"""A cluster on this machine, of the parts that a real one has: Ray's head and a worker with token authentication, an
MLflow server on PostgreSQL, artifacts and results on S3. moto's server stands in for S3: it keeps everything in memory.

    python k8s/local/cluster.py up        # start what does not run; again: replaces what was lost
    . .raylab/cluster/environment         # the addresses and the token, for `ray job submit`
    python k8s/local/cluster.py status
    python k8s/local/cluster.py lose worker     # its processes end at once, as a node that fails
    python k8s/local/cluster.py down            # ends what `up` has started, by process id; not `ray stop`, which
                                                # would end every Ray of the machine

`make cluster-local` and `make cluster-local-down` are up and down.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import postgres
import psutil
from processes import Ledger

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "raylab"
NAMES = ("postgres", "s3", "mlflow", "head", "worker")  # in the order in which they need each other
PORTS = ("postgres", "s3", "mlflow", "gcs", "dashboard", "client", "head_agent", "worker_agent")
START_SECONDS = 240  # MLflow and Ray take 20 s each on a quiet machine
OBJECT_STORE_BYTES = 150 * 2**20  # rows are pointers to shards


class LocalCluster:
    """Its folder holds the ports, the secrets, the ledger of processes, PostgreSQL's data, and the logs."""

    def __init__(self, folder: Path, cpus: int = 1) -> None:
        self.folder, self.cpus = folder.absolute(), cpus
        self.ledger = Ledger.read(self.folder / "processes.json")
        self.settings: dict[str, str] = {}
        if (self.folder / "settings.json").exists():
            self.settings = json.loads((self.folder / "settings.json").read_text())

    # -- what people type

    def up(self) -> None:
        """Start what does not run. Raises RuntimeError, with the end of a log, where a part does not come up."""
        self._prepare()
        for name in NAMES:
            if self.ledger.runs(name):
                continue
            self.ledger.end(name)  # what a lost service may have left
            self.ledger.start(
                name,
                self._command(name),
                self._environment(name),
                ROOT,
                self.folder / f"{name}.log",
                postgres.user() if name == "postgres" else None,
            )
            if name not in ("mlflow", "head"):  # these two take their time, and do not need each other
                self._wait(name)
        for name in ("mlflow", "head", "worker"):
            self._wait(name)
        print(f"up: {', '.join(NAMES)}\n  . {self.folder / 'environment'}")

    def down(self) -> None:
        """End what was started, the last first, and remove what was for this cluster alone. Raises RuntimeError, and
        removes nothing, where a process is still there."""
        for name in reversed(NAMES):
            if ended := self.ledger.end(name):
                print(f"{name}: {ended} process(es) ended")
        if left := self.ledger.left():
            raise RuntimeError(f"still there: process {', '.join(map(str, left))}; nothing of {self.folder} is removed")
        if temporary := self.settings.get("ray_temporary"):
            shutil.rmtree(temporary, ignore_errors=True)
        for name in ("settings.json", "environment", "token", "processes.json"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "postgres", ignore_errors=True)  # S3 is gone: its runs would name lost files

    def lose(self, name: str) -> None:
        print(f"{name}: {self.ledger.end(name, at_once=True)} process(es) killed")

    def status(self) -> bool:
        for name in NAMES:
            runs = self.ledger.runs(name)
            pids = " ".join(str(one.pid) for one in self.ledger.services.get(name, []) if one.process())
            print(f"{name:9} {'runs, ' + pids if runs else 'does not run'}")
        return all(self.ledger.runs(name) for name in NAMES)

    # -- settings

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.settings:
            self.settings = dict(zip(PORTS, map(str, _free_ports(len(PORTS))), strict=True))
            self.settings["password"] = secrets.token_hex(16)
            # A short folder: the path of a Unix socket may have 107 characters.
            self.settings["ray_temporary"] = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
            _write_private(self.folder / "settings.json", json.dumps(self.settings))
            _write_private(self.folder / "token", secrets.token_hex(32))
            lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.client().items()]
            _write_private(self.folder / "environment", "".join(lines))
        data = self.folder / "postgres"
        if not (data / "PG_VERSION").exists():
            postgres.initialise(data, self.settings["password"])

    def client(self) -> Mapping[str, str]:
        """The environment in which `ray job submit`, MLflow's client and a look into the store work."""
        return {
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{self.settings['dashboard']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.settings['mlflow']}",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.settings['s3']}",
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": "stand-in",
            "AWS_REGION": "us-east-1",
        }

    def _environment(self, name: str) -> dict[str, str]:
        own = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", "RAYLAB_SITE", "MLFLOW_", "AWS_"))}
        own["PATH"] = f"{Path(sys.executable).parent}:{own.get('PATH', '')}"
        if name == "postgres":
            return {"PATH": own["PATH"], "LC_ALL": "C"}
        own |= self.client()
        own |= {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
        if name == "mlflow":
            address = f"127.0.0.1:{self.settings['postgres']}/mlflow"
            # In the environment: a command line can be read by everybody on the machine.
            own["MLFLOW_BACKEND_STORE_URI"] = f"postgresql+psycopg2://raylab:{self.settings['password']}@{address}"
            own["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes and 0.9 GB that nobody here needs
            own["MLFLOW_MODEL_CATALOG_URI"] = ""  # otherwise fetched from the internet
            del own["MLFLOW_TRACKING_URI"]
        if name in ("head", "worker"):
            own["RAYLAB_HOME"] = str(self.folder / "home")  # of the head's pages; results are on S3
        return own

    def _command(self, name: str) -> list[str]:
        port, scripts = self.settings, Path(sys.executable).parent
        node = [str(scripts / "ray"), "start", "--block", f"--num-cpus={self.cpus}", "--num-gpus=0"]
        node += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--node-ip-address=127.0.0.1", "--disable-usage-stats"]
        artifacts = ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
        # A folder a node, as on machines of their own: in a common one the second node unpacks a job's working
        # directory anew, under the feet of the driver.
        temporary = {name: f"--temp-dir={port['ray_temporary']}/{name[0]}" for name in ("head", "worker")}
        return {
            "postgres": [
                *(postgres.program("postgres"), "-D", str(self.folder / "postgres"), "-p", port["postgres"]),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            ],
            "s3": [str(scripts / "moto_server"), "-H", "127.0.0.1", "-p", port["s3"]],
            "mlflow": [
                *(str(scripts / "mlflow"), "server", "--host", "127.0.0.1", "--port", port["mlflow"]),
                *(*artifacts, "--workers", "1"),
            ],
            "head": [
                *(*node, "--head", f"--port={port['gcs']}", temporary["head"]),
                *("--dashboard-host=127.0.0.1", f"--dashboard-port={port['dashboard']}"),
                *(f"--ray-client-server-port={port['client']}", f"--dashboard-agent-listen-port={port['head_agent']}"),
            ],
            "worker": [
                *(*node, f"--address=127.0.0.1:{port['gcs']}", temporary["worker"]),
                f"--dashboard-agent-listen-port={port['worker_agent']}",
            ],
        }[name]

    # -- waiting

    def _wait(self, name: str) -> None:
        """Until it answers; what comes with it is made at once (the database, the bucket)."""
        ready: Callable[[], bool] = getattr(self, f"_{name}_ready")
        end = time.monotonic() + START_SECONDS
        while self.ledger.runs(name) and time.monotonic() < end:
            try:
                if ready():
                    self.ledger.note_children(name)
                    return
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.5)
        log = self.folder / f"{name}.log"
        raise RuntimeError(f"{name} did not come up; {log} ends with\n{log.read_text(errors='replace')[-1500:]}")

    def _postgres_ready(self) -> bool:
        return postgres.ready(self.settings["postgres"], self.settings["password"], "mlflow")

    def _s3_ready(self) -> bool:
        request = urllib.request.Request(f"{self.client()['AWS_ENDPOINT_URL']}/{BUCKET}", method="PUT")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)

    def _mlflow_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.client()['MLFLOW_TRACKING_URI']}/health", timeout=5) as answer:
            return bool(answer.status == 200)

    def _head_ready(self) -> bool:
        return len(list(self._nodes())) >= 1

    def _worker_ready(self) -> bool:
        return len(list(self._nodes())) >= 2

    def _nodes(self) -> Iterator[str]:
        """Ids of the nodes that are alive, asked for with the token."""
        request = urllib.request.Request(
            f"{self.client()['RAY_API_SERVER_ADDRESS']}/nodes?view=summary",
            headers={"Authorization": f"Bearer {(self.folder / 'token').read_text()}"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            for node in json.load(answer)["data"]["summary"]:
                if node["raylet"]["state"] == "ALIVE":
                    yield node["raylet"]["nodeId"]


def _free_ports(count: int) -> list[int]:
    """Free at this moment, and different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down", "status", "lose"])
    parser.add_argument("name", nargs="?", choices=NAMES, help="of the part to lose")
    parser.add_argument("--folder", type=Path, default=ROOT / ".raylab" / "cluster")
    parser.add_argument("--cpus", type=int, default=1, help="of the head, and of the worker")
    arguments = parser.parse_args()
    cluster = LocalCluster(arguments.folder, arguments.cpus)
    if arguments.command == "lose" and not arguments.name:
        parser.error(f"lose what? one of {', '.join(NAMES)}")
    try:
        if arguments.command == "lose":
            cluster.lose(arguments.name)
        elif arguments.command == "status":
            sys.exit(0 if cluster.status() else 1)
        else:
            getattr(cluster, arguments.command)()
    except (RuntimeError, psutil.AccessDenied) as error:
        sys.exit(f"{error}\nwhat was started is ended by `make cluster-local-down`")


if __name__ == "__main__":
    main()
