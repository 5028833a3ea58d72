"""What is said of words that a newcomer types: one line each, with what to type instead."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from raylab.commands import options
from raylab.config import ConfigError, document
from raylab.experiments.transfer import TransferMatrix
from raylab.site import SiteFile

CONFIGS = Path(__file__).parent.parent / "configs"


def told(line: str) -> list[str]:
    """What is wrong with a command line of the transfer matrix."""
    with pytest.raises(ConfigError) as caught:
        _read(shlex.split(line.replace("CONFIGS", str(CONFIGS))))
    return [problem.replace(str(CONFIGS), "CONFIGS") for problem in caught.value.problems]


def _read(words: list[str]) -> None:
    arguments = options.parsed(TransferMatrix, None, words)
    options.loaded(TransferMatrix, arguments.settings, arguments.site)


LINES = {
    "attack.norm=linf attack.eps=8": (
        "command line: attack.eps: pixels lie in [0, 1], so an Linf radius is at most 1, got 8; for 8 of 255 levels "
        "write 8/255"
    ),
    "--attack.eps 0.25": "command line: --attack.eps: no such option; a key is set by attack.eps=0.25",
    "--study=x": "command line: --study: no such option; a key is set by study=x",
    "--network-lr 1": "command line: --network-lr: no such option; a key is set by network_lr=1",
    "--study --dry-run": "command line: --study: no such option; a key is set by study=VALUE",
    "attack.eps 0.25": "command line: attack.eps: no such file; a key is set by attack.eps=0.25",
    "attack": (
        "command line: attack: no such file; attack is a section, whose keys are norm, eps, steps, step_size, iterate, "
        "schedule"
    ),
    "--attack.steps -1": "command line: --attack.steps: no such option; a key is set by attack.steps=-1",
    "''": "command line: an empty word, where a config or key.path=value is needed; remove it",
    "--dryrun": "command line: --dryrun: no such option; did you mean --dry-run?",
    "--site": "command line: argument --site: expected one argument; see --help",
    "seeds=3": (
        "command line: seeds: must be a list of seeds, got 3; write [0, 1, 2] for 3 seeds, or [3] for the one seed 3"
    ),
    "seeds=1000": (
        "command line: seeds: must be a list of seeds, got 1000; write [0, 1, 2] for three, [1000] for this one"
    ),
    "data=mnist": 'command line: data: must be `key: value` lines, got "mnist"; write data.name=mnist',
    "data=mnits": ('command line: data: must be `key: value` lines, got "mnits"; did you mean mnist, as data.name?'),
    "train=small": 'command line: train: must be `key: value` lines, got "small"; write train.preset=small',
    "train.preset='{a: 1}'": (
        "command line: train.preset: must be 'ilyas2019_standard', 'ilyas2019_rand', 'ilyas2019_det', "
        "'ilyas2019_adversarial', 'robustness_linf', 'trades_linf' or 'small', got {\"a\": 1}"
    ),
    "study=a/b": (
        'command line: study: must be 1 to 60 letters, digits, spaces or any of "_.-", got "a/b"; the default is '
        '"digits"'
    ),
    "--site inlin": "inlin: no such site file; did you mean inline?",
    "CONFIGS/poison/digits.yaml": (
        "CONFIGS/poison/digits.yaml: a config of poison (unknown here: robust, source, trigger, victim); run python "
        "jobs/poison.py CONFIGS/poison/digits.yaml"
    ),
    "CONFIGS/site/inline.yaml": (
        "CONFIGS/site/inline.yaml: a site file, not an experiment's (unknown here: backend); give it as --site "
        "CONFIGS/site/inline.yaml"
    ),
    "CONFIGS/reproduce/small.yaml": (
        "CONFIGS/reproduce/small.yaml: a suite, which lists configs; run python jobs/reproduce.py suite=small"
    ),
    "--site CONFIGS/erm/full.yaml": (
        "CONFIGS/erm/full.yaml: a config of erm (no site file); run python jobs/erm.py CONFIGS/erm/full.yaml"
    ),
    "--help atack.eps": "command line: atack.eps: unknown key; did you mean attack.eps?",
}


@pytest.mark.parametrize("line", LINES)
def test_one_line_says_what_to_type_instead(line: str) -> None:
    assert told(line) == [LINES[line]]


def test_a_key_that_is_there_several_times_is_the_nearest_to_the_top_with_the_others_beside_it() -> None:
    (line,) = told("--eps 0.25")
    assert line.startswith("command line: --eps: no such option; a key is set by attack.eps=0.25 (robustness.eps, ")


@pytest.mark.parametrize("word", ["x" * 5000, "a\nb", "--site=\x1b[31m", "--" + "y" * 5000])
def test_a_word_that_is_no_name_of_anything_is_not_echoed(word: str) -> None:
    with pytest.raises(ConfigError, match=r"^command line: no option and no name of a file, got '") as caught:
        _read([word])
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_a_home_of_no_user_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYLAB_HOME", "~nobody-there/x")
    with pytest.raises(ConfigError, match=r"^RAYLAB_HOME=~nobody-there/x: no such user's folder; set it to a folder"):
        assert SiteFile().store_uri


def test_a_home_in_which_mlflow_s_database_would_lie_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLAlchemy takes for options begins at the question mark: the database was made beside the home."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RAYLAB_HOME", "/data/why?")
    with pytest.raises(ConfigError, match=r"RAYLAB_HOME=/data/why\?: MLflow's database cannot lie there.*without one"):
        assert SiteFile().tracking_uri
    assert SiteFile(tracking="none").tracking_uri == "none"


def test_the_config_of_a_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("tiny", "tiny.yaml", "transfer_matrix/tiny.yaml"):
        assert told(word) == [f"{word}: no such file; did you mean CONFIGS/transfer_matrix/tiny.yaml?"]
    assert told("worlds") == ["worlds: no such file; check the path"]  # a config of another experiment alone


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root, whom no permission stops, is somebody else here."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("option", ["", "--site "], ids=["a config", "a site"])
def test_a_file_in_a_closed_folder_cannot_be_read(option: str, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with nobody():
        assert told(f"{option}{closed}/x.yaml") == [
            f"{closed}/x.yaml: cannot be read (Permission denied); check the path"
        ]


def test_a_word_that_no_file_can_be_named_is_refused_like_any_other() -> None:
    word = "x" * 300
    assert told(word) == [f"{word}: cannot be read (File name too long); check the path"]
    assert told(f"--site {word}")[0].startswith(f"{word}: no such site file; in configs/site there are ")
    assert told(f"--{word} 1")[0].startswith(f"command line: --{word}: no such option; there are ")


def test_every_shipped_config_is_told_from_those_of_other_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    owned = [path for path in sorted(Path("configs").rglob("*.yaml")) if path.parts[1] not in ("site", "reproduce")]
    for path in owned:
        if not document.read(path).values.keys() <= TransferMatrix.model_fields.keys():  # else it is a config of both
            (line,) = told(str(path))
            assert line.endswith(f"run python jobs/{path.parts[1]}.py {path}")


def test_a_site_is_found_by_its_name_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.loaded(TransferMatrix, [], "inline")[1].backend == "inline"
    (tmp_path / "configs" / "site").mkdir(parents=True)
    (tmp_path / "configs" / "site" / "inline.yaml").write_text("backend: inline\nfree_gb: 3\n")
    assert options.loaded(TransferMatrix, [], "inline")[1].free_gb == 3  # the one that is nearer
    (tmp_path / "inline").write_text("backend: ray\n")
    assert options.loaded(TransferMatrix, [], "inline")[1] == SiteFile()  # a file is a file


def test_help_is_short_and_tells_more_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in {
        "--help": "\n  attack         Projected gradient descent on an image",
        "-h attack.eps": "attack.eps: number or fraction like 8/255",
        "--keys": "\n# radius of the ball",
    }.items():
        with pytest.raises(SystemExit, match="0"):
            options.parsed(TransferMatrix, "Doc.", ["seeds=[0]", *words.split()])
        out = capsys.readouterr().out
        assert expected.strip("\n") in out
        assert [line for line in out.splitlines() if len(line) > 80] == []
