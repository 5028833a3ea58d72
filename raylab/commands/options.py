"""The words of a command line: configs, changes of them, options; and what may have been meant by any other."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from os.path import expanduser
from pathlib import Path
from typing import NoReturn

from raylab.config import Config, ConfigError, document, explain, load, schema
from raylab.config.document import COMMAND_LINE, KEY, LONGEST_KEY, did_you_mean
from raylab.engine.files import UTF8, spelt_in_bytes
from raylab.engine.study import Given
from raylab.site import SiteFile

CONFIGS = (Path(__file__).parent.parent / "configs").resolve()  # of the package; in a checkout a link to its own
FOLDERS = (Path("configs"), CONFIGS)  # a submitted job has them in its working directory
LONGEST_PATH = 4096  # characters that Linux takes
SUFFIXES = (".yaml", ".yml")
VALUE = re.compile(r"(?!-(?![\d.]))[^=]+")  # what a key may have been meant to hold: no option, but a number below zero


def parsed(config: type[Config], doc: str | None, words: Sequence[str]) -> argparse.Namespace:
    """Settings, site and options. Raises ConfigError; what is asked for help ends here."""
    parser = _Parser(
        usage="%(prog)s [CONFIG.yaml ...] [key.path=value ...] [options]",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="CONFIG.yaml | key.path=value",
        help="experiment configs (several make several studies in one run), and changes to all of them",
    )
    parser.add_argument(
        "--site",
        metavar="SITE",
        help="where and how to run: a file, or the name of one in configs/site (default: RAYLAB_SITE, or this machine)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what exists and what would be built; build nothing"
    )
    parser.add_argument(
        "--retry", action="store_true", help="try again what failed, though neither code nor inputs have changed"
    )
    parser.add_argument("--full", action="store_true", help="print every table and sentence, not the answer alone")
    parser.add_argument(
        "-h",
        "--help",
        nargs="?",
        const="",
        metavar="KEY",
        help="this text; with a key, what that key is: --help attack.eps",
    )
    parser.add_argument(
        "--keys", action="store_true", help="every key with its meaning, type and default, as a config file"
    )
    problems = list(_strangers(parser, config, words))
    if problems:
        raise ConfigError(problems)
    arguments = parser.parse_intermixed_args(words)
    if arguments.help is not None:
        _explain(parser, config, arguments.help)
    if arguments.keys:
        _end(explain.defaults(config))
    return arguments


def loaded(config: type[Given], settings: Sequence[str], site: str | None) -> tuple[dict[str, Given], SiteFile]:
    """The configs by where they come from, all with the same changes, and the site file. Raises ConfigError."""
    changes = [text for text in settings if _is_change(text)]
    files: dict[str, Path | str] = {text: Path(expanduser(text)) for text in settings if not _is_change(text)}
    configs, file = dict[str, Given](), SiteFile()
    problems: dict[str, None] = {}  # as an ordered set: a wrong change is wrong in every file
    for origin, source in (files or {"embedded default": "{}"}).items():
        try:
            configs[origin] = _read(config, source, origin, changes)
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    try:
        file = _read(SiteFile, site_path(site)) if site else file
    except ConfigError as error:
        problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(list(problems))
    return configs, file


def _read(config: type[Given], source: Path | str, origin: str = "", changes: Sequence[str] = ()) -> Given:
    """As `load`, but what is wrong with a file of another kind, or with none, is said of the file."""
    try:
        return load(config, source, changes, origin)
    except ConfigError:
        if isinstance(source, Path):
            if not os.path.exists(source) and (meant := _meant(config, str(source))):
                raise ConfigError([f"{source}: no such file; {meant}"]) from None
            if other := _of_another(config, source):
                raise ConfigError([other]) from None
        raise


def site_path(site: str) -> Path:
    """A file, or one of `configs/site` by its name. Raises ConfigError."""
    path = Path(expanduser(site))
    if os.path.exists(path) or path.suffix or len(path.parts) > 1:
        return path
    known = {path.stem: path for folder in reversed(FOLDERS) for path in sorted((folder / "site").glob("*.yaml"))}
    if site not in known:
        remedy = did_you_mean(site, list(known)) or f"in configs/site there are {', '.join(known) or 'none'}"
        raise ConfigError([f"{site}: no such site file; {remedy}"])
    return known[site]


def _is_change(text: str) -> bool:
    """key.path=value, where a file's name may hold a "=" too."""
    return "=" in text and not text.endswith(SUFFIXES)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError([f"{COMMAND_LINE}: {message}; see --help"])


def _explain(parser: argparse.ArgumentParser, config: type[Config], key: str) -> NoReturn:
    if not key:
        _end(f"{parser.format_help()}\nkeys, of which --help KEY tells more:\n{explain.overview(config)}")
    try:
        _end(explain.key(config, key))
    except ValueError as error:
        raise ConfigError([f"{COMMAND_LINE}: {error}"]) from error


def _end(text: str) -> NoReturn:
    print(text)
    raise SystemExit(0)


def _strangers(parser: argparse.ArgumentParser, config: type[Config], words: Sequence[str]) -> Iterator[str]:
    """A line for each word that is no option, change or file: most often it names a key."""
    options = [option for action in parser._actions for option in action.option_strings]
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if not word and before != "--site":
            yield f"{COMMAND_LINE}: an empty word, where a config or key.path=value is needed; remove it"
        may_be_file = word.startswith("-") or not _is_change(word)
        if may_be_file and not (word.isprintable() and len(word) <= LONGEST_PATH):
            shown = ascii(word[:LONGEST_KEY]) + "..." * (len(word) > LONGEST_KEY)
            remedy = f"; {UTF8}" if spelt_in_bytes(word) else ""
            yield f"{COMMAND_LINE}: no option and no name of a file, got {shown} of {len(word):,} characters{remedy}"
            continue
        name, _, value = word.partition("=")
        key = name.strip("-").replace("-", "_")
        bare = name == word and not name.startswith("-") and before not in ("--site", "-h", "--help")
        strange = KEY.fullmatch(key) and (bare or name.startswith("-"))
        if name in options or not strange or os.path.exists(expanduser(word)):
            continue
        what = "no such file" if bare else "no such option"
        if keys := _called(config, key):
            value = value or (after if VALUE.fullmatch(after) else "VALUE")
            if sections := schema.models(schema.annotation(config, keys[0])):
                names = list(dict.fromkeys(field for one in sections for field in one.model_fields))
                yield f"{COMMAND_LINE}: {name}: {what}; {keys[0]} is a section, whose keys are {', '.join(names)}"
                continue
            others = f" ({', '.join(keys[1:4])} are others of that name)" if len(keys) > 1 else ""
            yield f"{COMMAND_LINE}: {name}: {what}; a key is set by {keys[0]}={value}{others}"
        elif not bare:
            remedy = did_you_mean(name, options) or f"there are {', '.join(options)}, and keys as key.path=value"
            yield f"{COMMAND_LINE}: {name}: {what}; {remedy}"


def _called(config: type[Config], name: str) -> list[str]:
    """The keys of that name, or with that last name: the nearest to the top first."""
    known = schema.keys(config)
    if name in known:
        return [name]
    return schema.named(config, name)


def _meant(config: type[Config], word: str) -> str:
    """The config of that name, where a word is no file; "" where there is none."""
    name = f"{Path(word).name.removesuffix('.yaml')}.yaml"
    files = [path for folder in FOLDERS for path in sorted(folder.rglob("*.yaml")) if path.name == name]
    own = [path for path in files if not _of_another(config, path)]
    return f"did you mean {own[0]}?" if own else ""


def _of_another(config: type[Config], path: Path) -> str:
    """Whose config a file is, where its keys are not those of this one and all those of another; "" elsewhere."""
    try:
        keys = set(document.read(path).values)
    except ConfigError:
        return ""
    if keys <= set(config.model_fields):
        return ""
    owners = [job for job, model in jobs().items() if keys <= set(model.model_fields)]
    owner = next((job for job in owners if job in path.parts), owners[0] if owners else "")
    extra = ", ".join(sorted(keys - set(config.model_fields))[:5])
    if keys == {"entries"}:
        return f"{path}: a suite, which lists configs; run python jobs/reproduce.py suite={path.stem}"
    if not owner and keys <= set(SiteFile.model_fields):
        return f"{path}: a site file, not an experiment's (unknown here: {extra}); give it as --site {path}"
    what = "no site file" if config is SiteFile else f"unknown here: {extra}"
    return owner and f"{path}: a config of {owner} ({what}); run python jobs/{owner}.py {path}"


def jobs() -> Mapping[str, type[Config]]:
    """What each job reads, by the job's name."""
    from raylab.report.experiments import EXPERIMENTS  # with their pages: seconds that only an error is worth
    from raylab.suites import Reproduce
    from raylab.sweep.config import Sweep

    return {name: one.config for name, one in EXPERIMENTS.items()} | {
        "reproduce": Reproduce,
        "sweep": Sweep,
    }
