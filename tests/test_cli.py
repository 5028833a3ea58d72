from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from sets_of_images import encoded, random_images
from toy import counting, faulty, numbers

from raylab import cli
from raylab.config import Config
from raylab.engine import runner
from raylab.engine.progress import Progress
from raylab.engine.stage import Stage
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.transfer import TransferMatrix

TESTS = Path(__file__).parent
BAD_INPUT, STOPPED = 2, 130


class Counting(Config):
    """The config of a tiny recipe."""

    count: Annotated[int, Field(ge=1, le=100)] = 3
    steps: Annotated[int, Field(ge=0)] = 0
    folder: str = ""
    fault: str = ""


def plan(config: Counting) -> Mapping[str, Stage]:
    if config.count == 13:
        raise ValueError("count: this data set has no 13 rows, got 13; use 12")
    cells = {"numbers": numbers(config.count)}
    if config.steps:
        cells["steps"] = counting(config.steps, Path(config.folder), pause=0.05)
    if config.fault:
        cells["faulty"] = faulty(config.fault, Path(config.folder))
    return cells


def main(argv: list[str] | None = None) -> None:
    """Counts.  (A job in a few lines; 100 % of it.)"""
    with cli.job(Counting, plan, main.__doc__, argv) as (studies, site):
        cells = {(study.key, cell): stage for study in studies for cell, stage in study.cells.items()}
        if site.dry_run:
            print(f"{len(runner.missing(cells.values(), site.store))} to build")
            return
        built = runner.build(cells, site.store, site.backend, Progress())
        if os.environ.get("TEST_BUG"):
            raise KeyError("a bug")
        print(f"counted {[artifact.rows for artifact in built.values()]}")


def ended(*argv: str) -> int:
    """The exit code of the job in this process."""
    try:
        main(list(argv))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def started(*argv: str, **environment: str) -> subprocess.Popen[str]:
    """The job as a process of its own, which hears SIGINT even where the tests run in a background that does not."""
    command = [sys.executable, str(TESTS / "test_cli.py"), *argv]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def store(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store"


# -- what is run


@pytest.mark.usefixtures("site")
def test_without_a_config_the_defaults_are_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended() == 0
    said = capsys.readouterr()
    assert said.out == "counted [3]\n"
    assert said.err.splitlines()[:3] == [
        f"store     {store(tmp_path)}",
        "tracking  nowhere (tracking is off)",
        f"reports   {tmp_path / 'home' / 'reports'}",
    ]


@pytest.mark.usefixtures("site")
def test_several_configs_are_several_studies_with_the_same_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, count in (("a=1", 4), ("b", 5)):
        (tmp_path / f"{name}.yaml").write_text(f"count: {count}\nsteps: 9\n")
    assert ended(str(tmp_path / "a=1.yaml"), "steps=2", str(tmp_path / "b.yaml"), f"folder={tmp_path}") == 0
    assert capsys.readouterr().out == "counted [4, 1, 5, 1]\n"
    assert (tmp_path / "steps").read_text() == "1\n2\n"


def test_words_and_flags_come_in_any_order(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text("count: 4")
    assert ended(str(tmp_path / "x.yaml"), "--site", str(site), "count=7") == 0
    assert capsys.readouterr().out == "counted [7]\n"


@pytest.mark.usefixtures("site")
def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--dry-run") == 0
    assert capsys.readouterr().out == "1 to build\n"
    assert not (tmp_path / "home").exists()
    assert ended() == 0
    assert ended("--dry-run") == 0
    assert capsys.readouterr().out.endswith("0 to build\n")


def test_a_dry_run_does_not_ask_for_the_gpus_of_the_site(site: Path) -> None:
    site.write_text("backend: ray\nactors: {gpus: 64}\ntracking: http://127.0.0.1:9\n")  # a plan may be made anywhere
    assert ended("--dry-run") == 0


def test_help_tells_the_keys_and_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == 0
    assert "Counts.  (A job in a few lines; 100 % of it.)" in (out := capsys.readouterr().out)
    assert "keys, of which --help KEY tells more:\n  count" in out
    assert ended("--keys") == 0
    keys = capsys.readouterr().out
    assert [line for line in keys.splitlines() if not line.startswith("#")] == [
        "count: 3",
        "steps: 0",
        "folder: ''",
        "fault: ''",
    ]


# -- bad input: everything at once, before compute, without a traceback


BAD: dict[str, tuple[str, list[str], list[str]]] = {  # what: site, argv, what is said
    "an unknown key": ("", ["coumt=3"], ["command line: coumt: unknown key; did you mean count?"]),
    "a wrong type": ("", ["count='3'"], ['command line: count: must be a whole number, got "3"; remove the quotes']),
    "out of range": ("", ["count=0"], ["command line: count: must be greater than or equal to 1, got 0; the default"]),
    "a bad change": ("", ["=3"], ["command line: must be key.path=value, got '=3'"]),
    "a missing file": ("", ["nope.yaml"], ["nope.yaml: no such file"]),
    "not a file at all": ("", ["dryrun"], ["dryrun: no such file"]),
    "an unknown flag": ("", ["--dryrun"], ["--dryrun: no such option; did you mean --dry-run?"]),
    "a missing site": ("", ["--site", "nope.yaml"], ["nope.yaml: no such file"]),
    "an unknown key of a site": ("actors: {gpu: 1}", [], ["site.yaml:3: actors.gpu: unknown key; did you mean gpus?"]),
    "a rule of a site": ("actors: {min: 2, max: 1}", [], ["site.yaml:3: actors: max must be at least min, got 1 < 2"]),
    "a fraction of GPUs above one": ("trials: {gpus: 1.5}", [], ["site.yaml:3: trials.gpus: more than one GPU must"]),
    "what a plan refuses": ("", ["count=13"], ["embedded default: count: this data set has no 13 rows"]),
    "a store that cannot be written": ("store: FILE/store", [], ["site.yaml: store", "cannot be written"]),
    "a store that is none": ("store: nope://x", [], ["site.yaml: store 'nope://x': not a path or URI"]),
    "several at once": (
        "cpus: 0",
        ["coumt=3", "count=0", "oops=["],
        ["coumt: unknown key", "count: must be greater", "oops: not YAML 1.2", "site.yaml:3: cpus: must be"],
    ),
    "several missing files": ("", ["a", "b.yaml", "=3"], ["a: no such file", "b.yaml: no such file", "got '=3'"]),
    "a plan and a store at once": ("store: FILE/store", ["count=13"], ["this data set has no 13", "cannot be written"]),
}  # fmt: skip
SLOW_BAD: dict[str, tuple[str, list[str], list[str]]] = {  # these import Ray or MLflow
    "more GPUs than there are": (
        "backend: ray\nactors: {gpus: 64}\ntrials: {cpus: 64}",
        [],
        ["site.yaml: actors: a worker asks for 1 CPU, 64 GPU, but", "trials: a worker asks for 64 CPU"],
    ),
    "a tracker out of reach": ("tracking: http://127.0.0.1:9", [], ["site.yaml: MLflow at http://127.0.0.1:9: it ca"]),
}  # fmt: skip


def write_site(path: Path, more: str) -> None:
    """A site file for one process with a few lines changed or added."""
    (path.parent / "file").write_text("")
    lines = {"backend": "inline", "tracking": "none"}
    given = more.replace("FILE", str(path.parent / "file"))
    base = [f"{key}: {value}" for key, value in lines.items() if f"{key}:" not in given]
    path.write_text("\n".join([*base, given]))


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_told_before_anything_is_computed(
    what: str, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, argv, expected = BAD[what]
    write_site(site, more)
    assert ended(*argv) == BAD_INPUT
    said = capsys.readouterr()
    assert [text for text in expected if text not in said.err] == []
    assert said.out == ""
    assert not list(store(tmp_path).glob("*/*"))


def test_a_change_that_is_wrong_everywhere_is_told_once(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text("count: 4")
    assert ended(str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "coumt=3", "--site", str(site)) == BAD_INPUT
    assert capsys.readouterr().err.count("coumt") == 1


RAW: dict[str, tuple[str, str]] = {  # what is wrong: the place of one more file, what is said of it
    "a pipe": ("train/cat/x.png", "train/cat: class cat has beside its images x.png (no regular file), which would"),
    "another kind of image": ("train/eel/a.tif", "train/eel: class eel has no image, but a.tif; images (.png"),
    "no images": ("train/eel/a.txt", "train/eel: class eel has no image, but a.txt; images (.png"),
    "an empty image": ("test/dog/a.png", "test/dog/a.png: an empty file; copy it again"),
}


@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize("what", RAW)
def test_raw_data_that_are_not_what_they_seem_are_told_before_anything_is_computed(
    what: str, flags: list[str], site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, expected = RAW[what]
    for known in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (tmp_path / "raw" / known).mkdir(parents=True)
        (tmp_path / "raw" / known / "0.png").write_bytes(encoded(random_images(1)[0]))
    wrong = tmp_path / "raw" / place
    wrong.parent.mkdir(exist_ok=True)
    os.mkfifo(wrong) if what == "a pipe" else wrong.touch()
    argv = [f"data={{name: image_folder, root: '{tmp_path}/raw'}}", "--site", str(site), *flags]
    with pytest.raises(SystemExit) as end, cli.job(TransferMatrix, transfer_matrix.plan, "", argv):
        pytest.fail("it was planned")
    assert end.value.code == BAD_INPUT
    assert f"embedded default: {tmp_path}/raw/{expected}" in capsys.readouterr().err
    assert not list(store(tmp_path).glob("*/*"))


def test_a_home_is_found_where_no_shell_has_looked_for_it(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAYLAB_SITE", f"~/{site.relative_to(tmp_path)}")
    (tmp_path / "mine.yaml").write_text("count: 4")
    main(["~/mine.yaml"])
    assert "counted [4]" in capsys.readouterr().out
    assert list(store(tmp_path).glob("*/*"))


@pytest.mark.slow
def test_a_process_ends_with_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    processes: dict[str, subprocess.Popen[str]] = {}
    cases = {name: BAD[name] for name in ("an unknown key", "a plan and a store at once")} | SLOW_BAD
    for number, (what, (more, argv, _)) in enumerate(cases.items()):
        path = tmp_path / f"site{number}" / "site.yaml"
        path.parent.mkdir()
        write_site(path, more)
        processes[what] = started(*argv, RAYLAB_SITE=str(path), RAYLAB_HOME=str(path.parent / "home"))
    for what, process in processes.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == BAD_INPUT, (what, err)
        assert [text for text in cases[what][2] if text not in err] == [], (what, err)
        assert "Traceback" not in err
        assert out == ""


# -- the other ends


def test_a_stage_that_fails_ends_in_exit_code_1_and_keeps_the_others(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("fault=raise", f"folder={tmp_path}") == 1
    err = capsys.readouterr().err
    assert "ValueError: this task always fails" in err
    assert "change the config" in err
    assert len(list(store(tmp_path).glob("*/*/MANIFEST.json"))) == 1
    assert site.exists()


@pytest.mark.usefixtures("site")
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BUG", "1")
    with pytest.raises(KeyError, match="a bug"):
        main([])


@pytest.mark.usefixtures("site")
def test_the_handler_that_ray_puts_for_sigterm_ends_in_the_same_stop(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as stop, cli.job(Counting, plan, None, ["count=4"]):
            sys.exit(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == STOPPED
    assert "To go on:" in capsys.readouterr().err


@pytest.mark.usefixtures("site")
def test_other_exits_pass_and_signals_are_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="7"), cli.job(Counting, plan, None, []):
        sys.exit(7)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_says_what_is_kept_and_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    process = started("count=4", "steps=200", f"folder={tmp_path}")
    wait_for(lambda: (tmp_path / "steps").exists())
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == STOPPED, err
    assert "Traceback" not in err
    assert f"Stopped. What is finished is kept in {store(tmp_path)}. To go on:" in err
    assert [path.parent.parent.name for path in store(tmp_path).glob("*/*/MANIFEST.json")] == ["numbers"]
    command = err.splitlines()[-1].strip()
    assert command.endswith(f"tests/test_cli.py count=4 steps=200 {shlex.quote(f'folder={tmp_path}')}")
    assert f"RAYLAB_SITE={tmp_path}/site.yaml " in command
    again = subprocess.run(
        ["bash", "-c", command.replace("steps=200", "steps=2")], capture_output=True, text=True, timeout=60, check=True
    )
    assert (out, again.stdout) == ("", "counted [4, 1]\n")
    assert "to build: 1 artifact in 1 round; 1 result in the store" in again.stderr


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


if __name__ == "__main__":
    main()
