"""Processes that outlive the command that started them, known again by their recorded ids, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

GRACE_SECONDS = 20  # Ray's --block drains its node, PostgreSQL writes its last checkpoint


@dataclass(frozen=True)
class Known:
    """A process by id and start: an id alone may be somebody else's by now."""

    pid: int
    started: str  # by no clock that anybody sets

    def process(self) -> psutil.Process | None:
        """The process, or None where it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = _start_of(self.pid) == self.started and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return None
        return process if same else None


@dataclass
class Ledger:
    """What was started, service by service, on disk before it is relied on."""

    path: Path
    services: dict[str, list[Known]] = field(default_factory=dict)  # its first process, then what that has started

    @classmethod
    def read(cls, path: Path) -> Ledger:
        if not path.exists():
            return cls(path)
        written = json.loads(path.read_text())
        return cls(path, {name: [Known(**one) for one in known] for name, known in written.items()})

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path, user: str | None
    ) -> None:
        with log.open("ab") as file:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C in the terminal is not for it
                **({"user": user, "group": user, "extra_groups": []} if user else {}),
            )
        self.services[name] = [_known(psutil.Process(process.pid))]
        self._write()
        process.returncode = 0  # meant to outlive this command: without it Popen complains when it is forgotten

    def runs(self, name: str) -> bool:
        known = self.services.get(name)
        return bool(known) and known[0].process() is not None

    def note_children(self, name: str) -> None:
        """What the service has started is recorded too: its first process may end before them."""
        first = self.services[name][0].process()
        children = first.children(recursive=True) if first else []
        known = [one for one in self.services[name] if one.process()]
        for child in children:
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                known += [one] if (one := _known(child)) not in known else []
        self.services[name] = known
        self._write()

    def end(self, name: str, *, at_once: bool = False) -> int:
        """End a service's processes: asked first, unless `at_once`. How many there were; one that will not end (its
        disk hangs) stays in the ledger."""
        if self.runs(name):
            self.note_children(name)
        processes = [process for one in self.services.get(name, []) if (process := one.process())]
        if processes and not at_once:
            with suppress(psutil.NoSuchProcess):
                processes[0].terminate()
            psutil.wait_procs(processes, timeout=GRACE_SECONDS)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=GRACE_SECONDS)
        left = [one for one in self.services.pop(name, []) if one.process()]
        self.services |= {name: left} if left else {}
        self._write()
        return len(processes)

    def left(self) -> list[int]:
        """Ids of the processes that still run."""
        return [one.pid for known in self.services.values() for one in known if one.process()]

    def _write(self) -> None:
        text = json.dumps({name: [asdict(one) for one in known] for name, known in self.services.items()}, indent=1)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text)
        os.replace(temporary, self.path)


def _known(process: psutil.Process) -> Known:
    return Known(process.pid, _start_of(process.pid))


def _start_of(pid: int) -> str:
    """When a process began, in ticks since a boot that has a name: `create_time` of psutil (and of everybody) moves
    when the machine's clock is set. Raises FileNotFoundError where there is no such process."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]  # field 22; the 2nd may hold blanks
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks}"
