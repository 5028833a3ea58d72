"""`raylab store COMMAND`: what is in a store, whether it is whole, what nobody needs, and the way to another one."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raylab import cli, config
from raylab.commands import options
from raylab.engine import archive, kept_runs
from raylab.engine.ancestry import Ancestry, inputs
from raylab.engine.artifact import Artifact, StoreError
from raylab.engine.garbage import garbage, remove
from raylab.engine.identity import short
from raylab.engine.remote import check_reachable
from raylab.engine.store import Store
from raylab.site import SiteFile
from raylab.tracking import TrackerError

ARCHIVE = "raylab"
Do = Callable[[argparse.Namespace], None]


def add(commands: Any) -> None:
    """As a word of `raylab`; `commands` are its sub-parsers."""
    text = "list, show, verify, tidy and move what jobs have made"
    own = commands.add_parser("store", help=text, description=text, allow_abbrev=False)
    words = own.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Do, text: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = words.add_parser(name, help=text, description=text, allow_abbrev=False)
        one.add_argument(
            "--store", metavar="URI", help="a path or URI (default: that of RAYLAB_SITE, else RAYLAB_HOME/store)"
        )
        one.set_defaults(do=do)
        return one

    listing = command("ls", _ls, "list the reported studies, or the artifacts of one kind")
    listing.add_argument("kind", nargs="?", help="such as constructed, network, evaluation; all")
    command("show", _show, "the manifest of an artifact, and what it was made from").add_argument("key", metavar="KEY")
    table = command("table", _table, "a table of all runs of an experiment, as CSV")
    table.add_argument("experiment", metavar="EXPERIMENT")
    table.add_argument("--study", metavar="STUDY", help="of one study alone")
    table.add_argument("--name", metavar="TABLE", help="which table (default: the one that a terminal shows)")
    verify = command("verify", _verify, "hold bytes against digests, and compute some shards again")
    verify.add_argument("key", metavar="KEY", nargs="*", help="these and what they were made from (default: all)")
    verify.add_argument("--recompute", metavar="K", type=int, default=0, help="random shards of the reported studies")
    verify.add_argument("--device", default="cpu", help="cpu (default) or cuda: of another processor bits may differ")
    collect = command("gc", _gc, "show what no reported study, sweep or unfinished job needs, and remove nothing")
    collect.add_argument("root", metavar="ROOT", nargs="*", help="keep these studies or keys alone (default: all)")
    collect.add_argument("--delete", action="store_true", help="remove it")
    export = command("export", _export, "write an artifact with all that it was made from, or a data set for others")
    export.add_argument("key", metavar="KEY")
    export.add_argument("--to", required=True, metavar="PATH", help="a new tar file; of another format a new folder")
    formats = "raylab (default: a tar file that `raylab store import` reads), torch, npz, huggingface, webdataset"
    export.add_argument("--format", default=ARCHIVE, metavar="FORMAT", help=formats)
    export.add_argument("--pixels", default="float32", help="float32 (default), or uint8, which rounds to 8 bits")
    command("import", _import, "take the artifacts of a tar file that `raylab store export` wrote").add_argument("file")
    again = command("republish", _republish, "page, tables and tracker records once more, from the store alone")
    again.add_argument("study", metavar="STUDY", nargs="*", help="studies, experiments or keys (default: all studies)")
    again.add_argument("--site", metavar="SITE", help="whose tracker is told, and whose store is read")


def _opened(arguments: argparse.Namespace) -> Store:
    """Raises ConfigError, StoreError."""
    uri = arguments.store
    if uri is None:
        site = os.environ.get("RAYLAB_SITE")
        uri = (config.load(SiteFile, options.site_path(site)) if site else SiteFile()).store_uri
    check_reachable(uri)
    return Store(uri)


def _ls(arguments: argparse.Namespace) -> None:
    from raylab.api.store import ReadStore

    store = _opened(arguments)
    if arguments.kind is None:
        header, kept = ["run", "experiment", "study", "finished", "verdict"], kept_runs.kept(store)
        lines = [[short(run.key), run.experiment, run.study, run.finished, run.verdict] for run in kept]
        print_table(header, lines, f"no runs in {store.shown}")
        return
    found = ReadStore(store).artifacts(None if arguments.kind == "all" else arguments.kind)
    studies = _studies(store)
    lines = [[*map(str, row), ", ".join(studies[row[0]])] for row in found.itertuples(index=False)]
    print_table([*found.columns, "studies"], lines, "none")


def _studies(store: Store) -> Mapping[str, list[str]]:
    """The studies that an artifact was made for, by its short key."""
    ancestry, studies = Ancestry(store), defaultdict[str, list[str]](list)
    for run in kept_runs.kept(store):
        for key in ancestry.closure(run.stages or ())[0]:
            studies[short(key)].append(run.study or run.experiment)
    return studies


def _show(arguments: argparse.Namespace) -> None:
    from raylab.api.store import ReadStore

    store = _opened(arguments)
    artifact = ReadStore(store).artifact(arguments.key)
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
    print("lineage:  # down to raw data; what was shown before is not followed again")
    print("\n".join(_tree(Ancestry(store), artifact)))


def _tree(ancestry: Ancestry, artifact: Artifact) -> Iterator[str]:
    """A line for each artifact that it was made from, deeper ones further in."""
    waiting, seen = [(role, key, 1) for role, key in reversed(inputs(artifact).items())], set[str]()
    if not waiting:
        yield "  - raw data: made from no other artifact"
    while waiting:
        role, key, depth = waiting.pop()
        one = ancestry.artifact(key)
        told = f"[{short(key)}], which the store has not" if one is None else f"{one.label}, digest {short(one.digest)}"
        yield f"{'  ' * depth}- {role}: {told}"
        if one is not None and key not in seen:
            seen.add(key)
            waiting += [(name, other, depth + 1) for name, other in reversed(inputs(one).items())]


def _table(arguments: argparse.Namespace) -> None:
    from raylab.api.store import ReadStore

    found = ReadStore(_opened(arguments)).table(arguments.experiment, arguments.study, arguments.name)
    print(found.to_csv(index=False), end="")


def _verify(arguments: argparse.Namespace) -> None:
    store = _opened(arguments)
    ancestry, problems, size = Ancestry(store), list[str](), 0
    artifacts = _asked(ancestry, arguments.key, problems)
    for artifact in artifacts:
        problems += artifact.damages()
        size += sum(part.bytes for part in artifact.parts)
    print(f"{len(artifacts)} artifacts, {size:,} bytes held against their digests")
    if arguments.recompute:
        problems += _recomputed(store, arguments.recompute, arguments.device)
    if problems:
        raise StoreError("\n".join(problems))


def _asked(ancestry: Ancestry, keys: list[str], problems: list[str]) -> list[Artifact]:
    """Those of the keys with what they were made from, or all; a damaged manifest is a problem and stops nothing."""
    from raylab.api.store import ReadStore

    if keys:
        found, lacking = ancestry.closure(ReadStore(ancestry.store).artifact(key).key for key in keys)
        problems += [f"[{short(key)}]: the store has it not, and something was made from it" for key in sorted(lacking)]
        return list(found.values())
    read = list[Artifact]()
    for folder in sorted(ancestry.folders.values()):
        try:
            read += filter(None, [ancestry.store.at(folder)])
        except StoreError as error:
            problems.append(str(error))
    return read


def _recomputed(store: Store, count: int, device: str) -> Iterator[str]:
    """A line for each shard that came out otherwise."""
    from raylab.commands import replan

    done = 0
    for one in replan.recompute(store, count, device):
        if isinstance(one, str):
            print(one)
            continue
        done += 1
        print(f"{'the same' if one.same else 'OTHER BYTES'}  {one.where}", flush=True)
        if not one.same:
            yield f"{one.where}: computed again on {device} it has other bytes; it was made on {one.made_on or 'cpu'}"
    print(f"{done} shards computed again")


def _gc(arguments: argparse.Namespace) -> None:
    store = _opened(arguments)
    found, notes = garbage(store, arguments.root)
    for note in notes:
        print(note)
    print_table(["bytes", "what", "where"], [[f"{one.bytes:,}", one.what, one.path] for one in found], "no garbage")
    if arguments.delete:
        remove(store, found, arguments.root)
    done = "removed" if arguments.delete else "to remove; nothing was removed: --delete does it"
    print(f"{len(found)} things, {sum(one.bytes for one in found):,} bytes {done}")


def _export(arguments: argparse.Namespace) -> None:
    from raylab.api.store import ReadStore

    opened = ReadStore(_opened(arguments))
    if arguments.format == ARCHIVE:
        path = Path(arguments.to).expanduser()
        written = archive.write(Ancestry(opened.store), opened.artifact(arguments.key), path)
        print(f"{path.stat().st_size:>13,} bytes  {path}: {len(written)} artifacts")
        return
    for path in opened.export(arguments.key, arguments.to, arguments.format, arguments.pixels):
        print(f"{path.stat().st_size:>13,} bytes  {path}")


def _import(arguments: argparse.Namespace) -> None:
    store = _opened(arguments)
    store.check_writable()
    for one in archive.read(Path(arguments.file).expanduser(), store):
        print(f"{'new' if one.is_new else 'there already'}  {one.artifact.label}")


def _republish(arguments: argparse.Namespace) -> None:
    from raylab.commands import replan

    site = cli.site_of_store(arguments.site or os.environ.get("RAYLAB_SITE"), arguments.store)
    problems = list[str]()
    for one in replan.replanned(site.store, arguments.study):
        try:
            if one.study is None:
                raise StoreError(f"{one.run.experiment}, study {one.run.study}: {one.problem}")
            replan.republish(one, site)
        except (StoreError, TrackerError, cli.NotShown) as error:
            problems.append(str(error))
    if problems:
        raise StoreError("\n".join(problems))


def print_table(header: Sequence[str], lines: Sequence[Sequence[str]], none: str = "") -> None:
    """Columns for people and for `awk`: a line each, however wide; `none` where there are no lines."""
    if not lines:
        print(none)
        return
    sizes = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (header, *lines):
        print("  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True)).rstrip())
