"""The command of `jobs/benchmark.py`: a smoke, the tables, and both on disk."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import torch

from raylab.benchmark import evaluations
from raylab.benchmark.smoke import Smoke, smoke
from raylab.benchmark.tables import KINDS, TimingTable, speeds, tables
from raylab.engine import provenance

OPTIONS = {
    "device": "cuda where there is one, else cpu",
    "seconds": "of the tables, 240",
    "tables": f"some of {', '.join(KINDS)}, with commas between them and without the smoke; all after it",
    "out": "benchmark_DEVICE",
    "data": "folder of CIFAR-10, for tables of robust accuracy, which need a trained network",
}
BAD_INPUT, FAILED = 2, 1
COLUMNS = ("", "turns", "ms an image and step", "images × steps a second", "speed over the first", "quartiles")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


@dataclass(frozen=True)
class Asked:
    device: str  # "cpu" or "cuda"
    seconds: float
    out: Path  # without a suffix
    data: Path | None = None
    tables: tuple[str, ...] | None = None  # None: all, after the smoke


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, 1 where a step of the smoke failed, 2 for bad input or a GPU that is not there."""
    try:
        asked = parsed(argv)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    fix_numerics(asked.device)
    lines = list(_told(machine(asked.device)))
    smoked: list[Smoke] = []
    if asked.tables is None:
        began = time.monotonic()
        torch.use_deterministic_algorithms(True)
        smoked += smoke(asked.device)
        torch.use_deterministic_algorithms(asked.device.startswith("cuda"))  # as workers have it
        lines += _told(smoke_lines(smoked, time.monotonic() - began))
    found = []
    trained = [] if asked.data is None else evaluations.tables(asked.device, asked.data, asked.seconds / 4)
    for table in chain(tables(asked.device, asked.seconds, asked.tables or KINDS), trained):
        found.append(table)
        lines += _told(table_lines(table))
    _store(asked, lines, smoked, found)
    return FAILED if any(one.problem for one in smoked) else 0


def parsed(argv: Sequence[str]) -> Asked:
    """Raises ValueError for what is no option, and where a GPU is asked for and none is at hand."""
    given = {name: value for name, _, value in (one.partition("=") for one in argv)}
    if unknown := sorted(set(given) - set(OPTIONS)):
        known = ", ".join(f"{name}= ({what})" for name, what in OPTIONS.items())
        raise ValueError(f"benchmark: unknown option {', '.join(unknown)}; there are {known}")
    at_hand = torch.cuda.is_available()
    device = given.get("device", "cuda" if at_hand else "cpu")
    if device not in ("cpu", "cuda"):
        raise ValueError(f"benchmark: device: cpu or cuda, got {device!r}")
    if device == "cuda" and not at_hand:
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise ValueError(
            f"benchmark: no GPU is at hand: torch {torch.__version__} {built} and sees none; nothing was measured. "
            "device=cpu measures this machine's processor"
        )
    try:
        seconds = float(given.get("seconds", "240"))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"benchmark: seconds: a number of seconds, 0 and above, got {given['seconds']!r}")
    chosen = tuple(given["tables"].split(",")) if "tables" in given else None
    if wrong := set(chosen or ()) - set(KINDS):
        raise ValueError(f"benchmark: tables: some of {', '.join(KINDS)}, got {', '.join(sorted(wrong))}")
    data = Path(given["data"]) if "data" in given else None
    return Asked(device, seconds, Path(given.get("out", f"benchmark_{device}")), data, chosen)


def fix_numerics(device: str) -> None:
    """As in a worker: one thread, no denormals, on a GPU deterministic kernels and no TF32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(device == "cuda")  # on a CPU it costs fills of fresh memory, and changes nothing
    if device == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def machine(device: str) -> Iterator[str]:
    """What was measured, with what."""
    known: dict[str, Any] = provenance.collect()
    packages = ", ".join(f"{name} {known['packages'][name]}" for name in ("torch", "torchvision", "numpy"))
    changed = ", with changes" if known["dirty"] else ""
    yield f"raylab at {known['commit']}{changed}; Python {known['python']}, {packages}"
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        yield f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}; {known['machine']}"
    else:
        yield f"{known['machine']}, one thread; {_bfloat16()}"


def _bfloat16() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "whether it has bfloat16 instructions is not known"
    found = [name for name in ("avx512_bf16", "amx_bf16") if name in flags]
    return f"bfloat16 by {' and '.join(found)}" if found else "no bfloat16 instructions"


def smoke_lines(smoked: Sequence[Smoke], seconds: float) -> Iterator[str]:
    """What failed, or that nothing did."""
    failed = sorted((one for one in smoked if one.problem), key=_fault)
    yield ""
    yield (
        f"Smoke: {len(smoked)} steps of {len({one.network for one in smoked})} networks, in two memory formats, each "
        f"twice with deterministic algorithms, in {seconds:.0f} s: {len(failed)} failed or differed."
    )
    for (network, step, problem), same in groupby(failed, key=_fault):
        yield f"- {network}, {step} ({', '.join(one.layout for one in same)}): {problem}"


def _fault(one: Smoke) -> tuple[str, str, str]:
    return one.network, one.step, one.problem


def table_lines(table: TimingTable) -> Iterator[str]:
    """A table in Markdown."""
    yield from ("", f"**{table.title}**" + (f", {table.steps} steps" if table.steps > 1 else ""), "", HEAD)
    each = speeds(table)
    for one in table.timings:
        milliseconds = 1e3 * one.seconds / table.images / table.steps
        rate = f"{each[one.name]:,.0f}"
        yield (
            f"| {one.name} | {one.turns} | {milliseconds:.3g} | {rate} | {one.speed:.2f} | "
            f"{one.low:.2f} to {one.high:.2f} |"
        )


def _told(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        print(line, flush=True)
        yield line


def _store(asked: Asked, lines: Sequence[str], smoked: Sequence[Smoke], found: Sequence[TimingTable]) -> None:
    text, data = asked.out.with_suffix(".md"), asked.out.with_suffix(".json")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join([*lines, ""]), encoding="utf-8")
    content = {
        "provenance": provenance.collect(),
        "device": asked.device,
        "smoke": [one._asdict() for one in smoked],
        "tables": [asdict(table) for table in found],
    }
    data.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"\n{text} and {data}")
