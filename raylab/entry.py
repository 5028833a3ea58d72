"""The one entry point: which words of a command line are whose.

    raylab run transfer_matrix tiny --site inline      # what jobs/transfer_matrix.py does, wherever one is
    raylab store ls constructed

Exit codes are those of `cli`: 0 done, 1 something is not there or cannot be built, 2 bad input, 130 stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from raylab import cli
from raylab.commands import store
from raylab.commands.options import CONFIGS
from raylab.commands.store import print_table
from raylab.config import ConfigError
from raylab.config.document import did_you_mean
from raylab.engine.artifact import StoreError
from raylab.engine.redaction import redacted
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
    except BrokenPipeError:  # `raylab store ls | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StoreError as error:
        _end(cli.FAILED, redacted(str(error)))
    except (ConfigError, ValueError) as error:
        _end(cli.BAD_INPUT, redacted(str(error)))


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
        from raylab import suites
        from raylab.scoreboard import run as scoreboard

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

    run = command("run", _run, "run an experiment: raylab run EXPERIMENT [CONFIG] [key.path=value ...] [options]")
    run.epilog = "raylab run EXPERIMENT --help: its options and settings; raylab experiments: their names and configs"
    store.add(commands)
    advice = command("recommend", _recommend, "measure at which compute batch a network is attacked fastest here")
    advice.add_argument("network", metavar="NETWORK")
    advice.add_argument("--shape", default="3,32,32", help="of its images: channels,height,width (default: 3,32,32)")
    advice.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    advice.add_argument("--precision", choices=("folded_float32", "bfloat16"), help="default: as trained, float32")
    advice.add_argument("--seconds", type=float, default=30.0, help="of measuring, at least five turns (default: 30)")
    command("networks", _networks, "list the networks that a config can name")
    command("experiments", _experiments, "list the experiments, and the configs that come with them")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    del arguments
    raise ValueError(f"run: an experiment is needed: {', '.join(runnable())}")


def _recommend(arguments: argparse.Namespace) -> None:
    from raylab.benchmark import recommend, run
    from raylab.core import networks
    from raylab.core.later import torch
    from raylab.stages.attacked import PRECISIONS

    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("recommend: no GPU is at hand; --device cpu measures this machine's processor")
    try:
        channels, height, width = map(int, arguments.shape.split(","))
    except ValueError:
        raise ValueError(f"recommend: --shape: channels,height,width, got {arguments.shape!r}") from None
    run.fix_numerics(device)
    half = [0.5] * channels
    network = networks.build(arguments.network, (channels, height, width), 10, half, half, seed=0)
    network = network.to(device).eval().requires_grad_(False)
    found = recommend.measured(
        network, (channels, height, width), PRECISIONS.get(arguments.precision), device, arguments.seconds
    )
    print(*run.machine(device), *recommend.lines(found), sep="\n")


def _networks(arguments: argparse.Namespace) -> None:
    del arguments
    from raylab.core.architectures import NETWORKS

    lines = [[name, f"{one.smallest}x{one.smallest}"] for name, one in NETWORKS.items()]
    print_table(["network", "smallest images"], lines)


def _experiments(arguments: argparse.Namespace) -> None:
    del arguments
    from raylab.report.experiments import EXPERIMENTS

    titles: dict[str, str] = {name: one.title for name, one in EXPERIMENTS.items()}
    for name, title in (titles | {REPRODUCE: SUITE, SWEEP: SEARCH}).items():
        folder = CONFIGS / name
        configs = [str(path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.yaml"))]
        print(f"{name}\n    {title}\n    configs: {', '.join(configs) or 'none; its keys have defaults'}")


def _end(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)
