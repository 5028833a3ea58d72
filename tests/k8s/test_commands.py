"""The entrypoints of every run are taken by their jobs: configs and sites are read, stages planned, nothing built."""

from __future__ import annotations

import runpy
import shlex
import sys
from pathlib import Path

import pytest
from k8s.commands import mounted_files
from k8s.kuberay import node_command, submitter_command
from k8s.rendered import PLACES, ROOT, place, rayjob

from raylab.config import load
from raylab.suites import Reproduce


def planned(name: str, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver does of the entrypoint until it would compute. Raises SystemExit for bad input."""
    text = rayjob(name, run)["spec"]["entrypoint"]
    for path, content in mounted_files(place(name, run)).items():
        here = tmp_path / path.removeprefix("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        # A bucket is opened, though nothing is written: here a folder stands in for it.
        here.write_text(content.replace("s3://raylab/store", str(tmp_path / "store")))
        text = text.replace(path, str(here))
    program, script, *words = shlex.split(text)
    assert program == "python"
    monkeypatch.chdir(ROOT)  # the image's working directory holds jobs/ and configs/
    monkeypatch.setattr(sys, "argv", [script, *words, "--dry-run"])
    runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.parametrize("run", ["transfer-matrix", "sweep"])
def test_a_run_of_the_small_place_is_planned(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned("small", run, tmp_path, monkeypatch)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("run", ["transfer-matrix", "sweep"])
@pytest.mark.parametrize("name", ["gpu-autoscaled", "kueue"])
def test_a_run_of_a_gpu_place_is_planned(
    name: str,
    run: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data_root: Path,
) -> None:
    monkeypatch.setenv("RAYLAB_DATA", str(data_root))
    planned(name, run, tmp_path, monkeypatch)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("name", PLACES)
def test_the_reproduction_of_a_place_is_of_a_suite(name: str) -> None:
    """Read and not planned: its plan takes as long as all other tests of this file together."""
    program, script, *words = shlex.split(rayjob(name, "reproduce")["spec"]["entrypoint"])
    assert (program, script, words[1:]) == ("python", "jobs/reproduce.py", ["--site", "/etc/raylab/site.yaml"])
    suite = load(Reproduce, "{}", [words[0]]).suite
    assert (ROOT / "configs" / "reproduce" / f"{suite}.yaml").is_file()


def test_a_misspelt_setting_ends_a_run_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = rayjob("small")
    monkeypatch.setitem(job["spec"], "entrypoint", f"{job['spec']['entrypoint']} atack.eps=1")
    with pytest.raises(SystemExit) as ended:
        planned("small", "transfer-matrix", tmp_path, monkeypatch)
    assert ended.value.code == 2


def test_the_operators_commands_carry_what_the_manifest_says() -> None:
    spec = rayjob("kueue")["spec"]
    cluster = spec["rayClusterSpec"]
    head = node_command("head", cluster["headGroupSpec"], "", {})[-1]
    worker = node_command("worker", cluster["workerGroupSpecs"][0], "head:6379", {})[-1]
    assert "ray start --head " in head
    for flag in ("--num-cpus=0", "--num-gpus=0", f"--memory={8 * 2**30}", "--dashboard-host=0.0.0.0", "--block "):
        assert flag in head
    for flag in (
        "--address=head:6379",
        "--num-cpus=8",
        "--num-gpus=1",
        f"--memory={32 * 2**30}",
        f"--object-store-memory={2**31}",
    ):
        assert flag in worker
    script = submitter_command(spec, "http://head:8265", "id")[-1]
    assert f"--submission-id id -- {spec['entrypoint']} ;" in script
    assert '--metadata-json "{\\"project\\":\\"raylab\\"}"' in script
