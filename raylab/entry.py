"""The one entry point: which words of a command line are whose.

    raylab run transfer_matrix tiny --site inline      # what jobs/transfer_matrix.py does, wherever one is
    raylab ls constructed

Exit codes are those of `cli`: 0 done, 1 something is not there or cannot be built, 2 bad input, 130 stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from raylab import cli, config
from raylab.command_line import CONFIGS
from raylab.config.document import did_you_mean
from raylab.engine import kept_runs
from raylab.engine.artifact import StoreError
from raylab.engine.identity import short
from raylab.stop import importing

DESCRIPTION = "A laboratory on Ray for the question: are adversarial examples bugs or features?"
SWEEP, REPRODUCE = "sweep", "reproduce"
SUITE = "Every response to the paper, run together, and a scoreboard of published and measured numbers."
SEARCH = (
    "A search over fields of any experiment's config, judged on one half of the test images, reported on the other."
)
DEFAULT_SWEEP = CONFIGS / "sweep" / "det_digits.yaml"


def main(argv: Sequence[str] | None = None) -> None:
    """`raylab COMMAND ...`; what follows `run EXPERIMENT` belongs to the experiment."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["run"] and len(words) > 1 and not words[1].startswith("-"):
        run(words[1], words[2:])
        return
    arguments = _parser().parse_args(words)
    try:
        arguments.do(arguments)
    except BrokenPipeError:  # `raylab ls | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StoreError as error:
        _end(cli.FAILED, str(error))
    except ValueError as error:
        _end(cli.BAD_INPUT, str(error))


def run(name: str, words: Sequence[str]) -> None:
    """As the job of that name, with configs by their names."""
    jobs = runnable()
    if name not in jobs:
        remedy = did_you_mean(name, list(jobs)) or f"there are {', '.join(jobs)}"
        _end(cli.BAD_INPUT, f"run {name}: no such experiment; {remedy}")
    sys.argv = [f"raylab run {name}", *located(name, words)]  # what a run's provenance and its help say
    jobs[name]()


def runnable() -> Mapping[str, Callable[[], None]]:
    """Every experiment, and what runs several."""
    with importing():
        from raylab.report.experiments import EXPERIMENTS  # seconds, which only a run is worth

    of_one = {str(name): partial(cli.run, one, f"{one.title}.  {one.source}") for name, one in EXPERIMENTS.items()}
    return {**of_one, REPRODUCE: partial(reproduce, SUITE), SWEEP: partial(sweep, SEARCH)}


def reproduce(doc: str | None) -> None:
    """A suite, and its scoreboard."""
    with importing():
        from raylab import scoreboard, suites

    with cli.job(suites.Reproduce, partial(suites.plan, folder=CONFIGS), doc) as (studies, site):
        for study in studies:
            scoreboard.run(study.config, suites.parts(study.config, CONFIGS), site)


def sweep(doc: str | None) -> None:
    """Searches; that of the embedded digits where no config is named."""
    with importing():
        from raylab.sweep import run as searching
        from raylab.sweep.config import Sweep
        from raylab.sweep.prepare import prepare

    given = sys.argv[1:]
    settings = [text for before, text in zip(["", *given], given, strict=False) if before != "--site"]
    if not any(text.endswith((".yaml", ".yml")) and "=" not in text for text in settings):
        given = [str(DEFAULT_SWEEP), *given]
    plan: Callable[[Sweep], Any] = partial(prepare, folder=CONFIGS)
    with cli.job(Sweep, plan, doc, given) as (studies, site):
        prepared: list[Any] = [study.cells for study in studies]
        for one in prepared:
            searching.check(one, site)
        for one in prepared:
            searching.run(one, site)


def located(name: str, words: Sequence[str]) -> list[str]:
    """The words with paths in place of names of configs that come with raylab; files that are there come first."""
    folders = ["site" if before == "--site" else name for before in ["", *words[:-1]]]
    return [_path(folder, word) for folder, word in zip(folders, words, strict=False)]


def _path(folder: str, word: str) -> str:
    if word.startswith("-") or "=" in word or os.path.exists(word):
        return word
    below = word.removeprefix("configs/").removesuffix(".yaml") + ".yaml"
    found = [path for path in (CONFIGS / folder / below, CONFIGS / below) if path.is_file()]
    return str(found[0]) if found else word


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("raylab", description=DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        one.set_defaults(do=do)
        return one

    def of_store(name: str, do: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        one = command(name, do, text)
        one.add_argument("--store", metavar="URI", help="a path or URI (default: RAYLAB_HOME/store)")
        return one

    command("run", _run, "run an experiment: raylab run EXPERIMENT [CONFIG] [key.path=value ...] [options]")
    listing = of_store("ls", _ls, "list the runs of a store, or its artifacts of one kind")
    listing.add_argument("kind", nargs="?", help="such as constructed, network, evaluation; all")
    of_store("show", _show, "what an artifact is, and what it was made from").add_argument("key", metavar="KEY")
    export = of_store("export", _export, "write a data set as files that others read without raylab, beside its card")
    export.add_argument("key", metavar="KEY")
    export.add_argument("--format", required=True, metavar="FORMAT", help="torch, npz, huggingface or webdataset")
    export.add_argument("--to", required=True, metavar="FOLDER", help="a new folder")
    export.add_argument("--pixels", default="float32", help="float32 (default), or uint8, which rounds to 8 bits")
    table = of_store("table", _table, "a table of all runs of an experiment, as CSV")
    table.add_argument("experiment", metavar="EXPERIMENT")
    table.add_argument("--study", metavar="STUDY", help="of one study alone")
    table.add_argument("--name", metavar="TABLE", help="which table (default: the one that a terminal shows)")
    command("networks", _networks, "list the networks that a config can name")
    command("experiments", _experiments, "list the experiments, and the configs that come with them")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    del arguments
    raise ValueError(f"run: an experiment is needed: {', '.join(runnable())}")


def _ls(arguments: argparse.Namespace) -> None:
    from raylab.api.store import open_store

    opened = open_store(arguments.store)
    if arguments.kind is None:
        header, kept = ["run", "experiment", "study", "finished", "verdict"], kept_runs.kept(opened.store)
        lines = [[short(run.key), run.experiment, run.study, run.finished, run.verdict] for run in kept]
        _print(header, lines, f"no runs in {opened.store.shown}")
        return
    found = opened.artifacts(None if arguments.kind == "all" else arguments.kind)
    _print(list(found.columns), [[str(cell) for cell in row] for row in found.itertuples(index=False)], "none")


def _show(arguments: argparse.Namespace) -> None:
    from raylab.api.store import open_store

    artifact = open_store(arguments.store).artifact(arguments.key)
    made = artifact.manifest
    told = {
        **{name: made[name] for name in ("kind", "version", "name", "key")},
        "digest": artifact.digest,
        "folder": artifact.folder,
        "rows": sum(part.rows or 0 for part in artifact.parts),
        "bytes": sum(part.bytes for part in artifact.parts),
        **{name: made[name] for name in ("inputs", "config", "metrics", "provenance")},
    }
    print(config.as_yaml(told), end="")


def _export(arguments: argparse.Namespace) -> None:
    from raylab.api.store import open_store

    opened = open_store(arguments.store)
    for path in opened.export(arguments.key, arguments.to, arguments.format, arguments.pixels):
        print(f"{path.stat().st_size:>13,} bytes  {path}")


def _table(arguments: argparse.Namespace) -> None:
    from raylab.api.store import open_store

    found = open_store(arguments.store).table(arguments.experiment, arguments.study, arguments.name)
    print(found.to_csv(index=False), end="")


def _networks(arguments: argparse.Namespace) -> None:
    del arguments
    from raylab.core.architectures import NETWORKS

    lines = [[name, f"{one.smallest}x{one.smallest}"] for name, one in NETWORKS.items()]
    _print(["network", "smallest images"], lines)


def _experiments(arguments: argparse.Namespace) -> None:
    del arguments
    from raylab.report.experiments import EXPERIMENTS

    titles: dict[str, str] = {name: one.title for name, one in EXPERIMENTS.items()}
    for name, title in (titles | {REPRODUCE: SUITE, SWEEP: SEARCH}).items():
        folder = CONFIGS / name
        configs = [str(path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.yaml"))]
        print(f"{name}\n    {title}\n    configs: {', '.join(configs) or 'none; its keys have defaults'}")


def _print(header: Sequence[str], lines: Sequence[Sequence[str]], none: str = "") -> None:
    """Columns for people and for `awk`: a line each, however wide."""
    if not lines:
        print(none)
        return
    sizes = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (header, *lines):
        print("  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True)).rstrip())


def _end(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)
