"""An hour of studies and sweeps on Ray with random kills: `make soak MINUTES=60`.

    python tests/faults/soak.py MINUTES FOLDER [SEED]
    python tests/faults/soak.py --draw CSV SVG

One driver goes from study to study in one process, each of a seed of its own, on one Ray that it has started. Every
20 s or so a process of its own is killed: mostly an actor or a trial, at times the driver, which is then started again.
Memory, file descriptors, threads and temporary files are written down all the time (FOLDER/soak.csv, soak.svg), and at
the end some studies are built again, undisturbed and without Ray, to compare every digest (FOLDER/soak.json).
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil
from harness import MARK, STUDY, Job, Left, unfinished_files

from raylab.engine import provenance
from raylab.report.drawing import despine
from raylab.report.later import Figure
from raylab.report.picture import COLOURS, INK, Picture, style

SITE = (
    "backend: ray\ncpus: 1\nfree_gb: 0\nactors: {max: 1, gpus: 0, shards_per_task: 1}\n"
    "trials: {gpus: 0, checkpoint_seconds: 0}\n"
)
SWEEP = {
    "study": "soak",
    "experiment": "transfer_matrix",
    "config": {
        "data": {"name": "digits", "train_rows": 300}, "sources": ["mlp"], "targets": ["mlp"], "kinds": ["det"],
        "seeds": [0], "attack": {"norm": "l2", "eps": 1.5, "steps": 4, "step_size": 0.5},
        "train": {"epochs": 3, "lr": 0.002, "schedule": "constant"}, "robustness": None, "neighbours": 0,
        "controls": {"unperturbed": False, "random_labels": False, "untrained": False, "robust": None, "leakage": None},
    },
    "space": {"students.det.lr": {"loguniform": [1e-4, 3e-2]}, "students.det.epochs": {"integers": [1, 4]}},
    "trials": 3,
    "objectives": [{"name": "D_det", "cell": {"role": "student", "kind": "det", "control": ""}}],
    "final": None,
}  # fmt: skip
SAMPLE_SECONDS, KILL_SECONDS, DRIVER_SHARE = 10.0, 20.0, 0.06
CHECKED = 12  # studies that are built again at the end


def words(number: int, folder: Path) -> list[str]:
    """The command line of a study: every third is a sweep."""
    if number % 3 != 2:
        return ["transfer_matrix", *STUDY, f"study=soak{number}", f"seeds=[{number}]"]
    path = folder / "sweep.yaml"
    if not path.exists():
        path.write_text(json.dumps(SWEEP))
    return ["sweep", str(path), f"study=soak{number}", f"config.seeds=[{number}]"]


# -- the driver: studies one after another, in one process


def drive(folder: Path) -> None:
    from raylab import entry

    done = folder / "done"
    number = len(done.read_text().split()) if done.exists() else 0
    while not (folder / "stop").exists():
        try:
            entry.run(
                "sweep" if number % 3 == 2 else "transfer_matrix", [*words(number, folder)[1:], "--site", site(folder)]
            )
        except SystemExit as stop:
            print(f"study {number}: exit code {stop.code}", file=sys.stderr, flush=True)
            if stop.code == 130:
                raise
            if stop.code:
                continue  # the same command again, as its message says
        with done.open("a") as list_of:
            list_of.write(f"{number}\n")
        number += 1


def site(folder: Path) -> str:
    path = folder / "site.yaml"
    path.write_text(SITE)
    return str(path)


# -- what is watched


@dataclass(frozen=True)
class Sample:
    """At one moment; `all` is the driver with Ray and its workers, without what they share."""

    seconds: float
    driver: int  # how many drivers there were before
    studies: int
    kills: int
    driver_mb: float
    all_mb: float
    driver_descriptors: int
    all_descriptors: int
    driver_threads: int
    all_threads: int
    processes: int
    temporary_files: int  # in the store and where programs put such
    ray_files: int  # logs and sockets of the session
    store_mb: float


def sample(
    job: Job, process: subprocess.Popen[bytes], folder: Path, began: float, drivers: int, kills: int
) -> Sample | None:
    driver = {"memory": 0.0, "descriptors": 0, "threads": 0}
    total, count = dict(driver), 0
    for one in job.family():
        try:
            with one.oneshot():
                found = {
                    "memory": one.memory_full_info().uss,
                    "descriptors": one.num_fds(),
                    "threads": one.num_threads(),
                }
        except psutil.Error:
            continue
        count += 1
        total = {name: total[name] + value for name, value in found.items()}
        if one.pid == process.pid:
            driver = found
    if not driver["threads"]:
        return None  # it has ended
    done = folder / "done"
    return Sample(
        round(time.monotonic() - began, 1), drivers, len(done.read_text().split()) if done.exists() else 0, kills,
        round(driver["memory"] / 2**20, 1), round(total["memory"] / 2**20, 1), int(driver["descriptors"]),
        int(total["descriptors"]), int(driver["threads"]), int(total["threads"]), count,
        len(unfinished_files(folder / "home")) + sum(len(names) for _, _, names in os.walk(folder / "tmp")),
        sum(len(names) for _, _, names in os.walk(folder / "r")),
        round(sum(os.lstat(p).st_size for p in walk(folder / "home")) / 2**20, 1),
    )  # fmt: skip


def walk(folder: Path) -> Iterator[str]:
    for at, _, names in os.walk(folder):
        yield from (path for name in names if os.path.lexists(path := os.path.join(at, name)))


# -- what is done to it


def victim(job: Job, draws: random.Random) -> tuple[str, psutil.Process] | None:
    """A worker that has something to do, where there is one."""
    workers = []
    for one in job.family():
        try:
            title = " ".join(one.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::") and "IDLE" not in title:
            workers.append(("actor" if "MapWorker" in title else "trial" if "training" in title else "worker", one))
    return draws.choice(workers) if workers else None


def soak(minutes: float, folder: Path, seed: int) -> None:
    for name in ("tmp", "r"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    surroundings = {"TMPDIR": str(folder / "tmp"), "RAY_TMPDIR": str(folder / "r")}
    job = Job(folder / "home", site=SITE, environment=surroundings)
    draws, kills, drivers = random.Random(seed), Counter[str](), 0
    began = time.monotonic()
    process = start(job, folder)
    next_kill = began + 60
    with (folder / "soak.csv").open("w", newline="") as file:
        lines = csv.DictWriter(file, [one.name for one in fields(Sample)])
        lines.writeheader()
        while time.monotonic() - began < 60 * minutes:
            time.sleep(SAMPLE_SECONDS)
            if (found := sample(job, process, folder, began, drivers, sum(kills.values()))) is not None:
                lines.writerow(asdict(found))
                file.flush()
            if process.poll() is not None:
                kills["driver ended by itself"] += 1
            elif time.monotonic() > next_kill:
                next_kill = time.monotonic() + draws.expovariate(1 / KILL_SECONDS)
                time.sleep(draws.uniform(0, SAMPLE_SECONDS / 2))
                hit(job, process, draws, kills)
            if process.poll() is not None:
                process.wait()
                kills["orphans"] += job.orphans()
                drivers += 1
                process = start(job, folder)
                next_kill = time.monotonic() + 30
    (folder / "stop").touch()  # after the study that it is at
    process.wait(600)
    kills["orphans"] += job.orphans()
    verify(folder, draws, kills, time.monotonic() - began, drivers)


def start(job: Job, folder: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": job_path(),
        "RAYLAB_HOME": str(job.home),
        MARK: job.mark,
        **job.environment,
    }
    with (folder / "driver.log").open("ab") as log:
        command = [sys.executable, __file__, "--drive", str(folder)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def job_path() -> str:
    here = Path(__file__).parent
    return f"{here}:{here.parent.parent}"


def hit(job: Job, process: subprocess.Popen[bytes], draws: random.Random, kills: Counter[str]) -> None:
    if draws.random() < DRIVER_SHARE:
        stop = draws.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(stop)
        kills[f"driver {stop.name}"] += 1
        process.wait(60)
    elif (found := victim(job, draws)) is not None:
        what, worker = found
        try:
            worker.kill()
        except psutil.NoSuchProcess:
            return
        kills[f"{what} SIGKILL"] += 1


def verify(folder: Path, draws: random.Random, kills: Counter[str], seconds: float, drivers: int) -> None:
    """Some studies again, undisturbed, without Ray; all that they have must be the same."""
    done = [int(one) for one in (folder / "done").read_text().split()]
    kept = Left.of(folder / "home")
    plain = Job(folder / "plain", site="backend: inline\nfree_gb: 0\ntracking: none\n")
    different = Counter[str]()
    chosen = sorted(draws.sample(done, min(CHECKED, len(done))))
    for number in chosen:
        plain.words = words(number, folder)
        code = plain.run()
        different[f"exit code {code}"] += 1
    shutil.copy(folder / "home" / "mlflow.db", folder / "plain" / "mlflow.db")
    expected = Left.of(folder / "plain")
    wrong = [path for path, digest in expected.digests.items() if kept.digests.get(path) != digest]
    wrong += [path for path, text in expected.tables.items() if kept.tables.get(path) != text]
    doubled = [key for key, states in kept.runs.items() if states != ["FINISHED"]]
    made_by = provenance.collect()
    told = {
        "commit": made_by["commit"], "changed since": made_by["dirty"], "machine": made_by["machine"],
        "seconds": round(seconds), "drivers": drivers + 1, "studies": len(done), "artifacts": len(kept.digests),
        "done to it": dict(kills), "compared studies": chosen, "ended with": dict(different),
        "compared digests": len(expected.digests), "compared tables": len(expected.tables), "different": wrong,
        "runs of MLflow": len(kept.runs), "runs twice or unfinished": doubled,
    }  # fmt: skip
    draw(folder / "soak.csv", folder / "soak.svg")
    (folder / "soak.json").write_text(json.dumps(told, indent=1))
    print(json.dumps(told, indent=1))


PANELS = {
    "Memory, MB": ("driver_mb", "all_mb"),
    "File descriptors": ("driver_descriptors", "all_descriptors"),
    "Threads": ("driver_threads", "all_threads"),
    "Temporary files": ("temporary_files",),
}
LOOKS = {"driver": (COLOURS[0], "driver"), "all": (COLOURS[1], "driver, Ray and its workers"), "temporary": (INK, "")}


def draw(table: Path, path: Path) -> None:
    """What was watched, over the minutes; where a driver ends and the next begins the lines are broken."""
    with table.open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    with style():
        figure = Figure(figsize=(6.4, 6.0), layout="constrained")
        for axes, (title, names) in zip(figure.subplots(4, 1, sharex=True), PANELS.items(), strict=True):
            for name in names:
                colour, label = LOOKS[name.partition("_")[0]]
                for driver in sorted({row["driver"] for row in rows}):
                    life = [row for row in rows if row["driver"] == driver]
                    minutes, values = [row["seconds"] / 60 for row in life], [row[name] for row in life]
                    axes.plot(minutes, values, color=colour, linewidth=1, label=label if driver == 0 else None)
            axes.set_title(title)
            axes.set_ylim(bottom=0)
            despine(axes)
        axes.set_ylim(0, 10)
        axes.set_xlabel("minutes")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    path.write_bytes(Picture(path.stem, figure, "", "").svg)


if __name__ == "__main__":
    if sys.argv[1] == "--drive":
        drive(Path(sys.argv[2]))
    elif sys.argv[1] == "--draw":
        draw(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        soak(float(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
