"""The benchmark runs with the core alone, compares equal work, and says what it cannot do.  No test asserts a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raylab import entry
from raylab.benchmark import evaluations, loops, recommend, run, smoke, tables
from raylab.benchmark.clock import LEAST, in_turns
from raylab.benchmark.networks import CLASSES, NARROW, build, contiguous, images, labels
from raylab.core.architectures import NETWORKS
from raylab.core.balls import L2Ball
from raylab.core.objectives import away
from raylab.core.pgd import descend

ROOT = Path(__file__).parent.parent
ABSENT = ("ray", "mlflow", "pydantic", "pyarrow", "ruamel", "sklearn", "scipy")


def alone(script: str) -> subprocess.CompletedProcess[str]:
    """As on a machine that has nothing but torch, torchvision and numpy: the others cannot be imported."""
    hidden = f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT!r})); {script}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", hidden]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_it_starts_with_the_core_alone_and_says_that_there_is_no_gpu() -> None:
    done = alone("sys.argv = ['x', 'device=cuda']; runpy.run_path('jobs/benchmark.py', run_name='__main__')")
    assert done.returncode == run.BAD_INPUT, done.stderr
    assert "no GPU is at hand" in done.stderr
    assert "device=cpu measures this machine's processor" in done.stderr
    done = alone("from raylab.benchmark import run; print(len(list(run.machine('cpu'))))")
    assert done.stdout.strip() == "2", done.stderr


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("devices=cpu", "unknown option devices"),
        ("device=tpu", "cpu or cuda, got 'tpu'"),
        ("seconds=long", "got 'long'"),
        ("seconds=-1", "got '-1'"),
        ("tables=attacks,art", "tables: some of attacks, inversions, epochs, got art"),
        ("fast", "unknown option fast"),
    ],
)
def test_what_is_no_option_is_refused(argument: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([argument]) == run.BAD_INPUT
    assert said in capsys.readouterr().err


def test_all_loops_do_the_same_work() -> None:
    """The iterates of raylab's loop, of the plain one and of robustness' are one: so their times can be compared."""
    network, x, label = contiguous(build(NARROW, "cpu")).double(), images(4, "cpu").double(), labels(4, "cpu")
    loss = loops.cross_entropy(network, label)
    ours = descend(away(network, label), x, L2Ball(0.3), 0.1, 4)
    torch.testing.assert_close(loops.plain(loss, x, 0.3, 0.1, 4), ours.last, rtol=0, atol=1e-6)
    torch.testing.assert_close(loops.robustness(loss, x, 0.3, 0.1, 4), ours.best, rtol=0, atol=1e-6)
    assert (ours.last - x).abs().max() > 1e-3


def test_pieces_take_turns_and_ratios_are_over_the_first() -> None:
    order: list[str] = []
    found = in_turns({name: lambda name=name: order.append(name) or sum(range(9)) for name in "ab"}, "cpu", 0.0)  # type: ignore[misc]
    assert "".join(order) == "ab" * (LEAST + 1)  # the first turn is not counted
    assert [(one.name, one.turns) for one in found] == [("a", LEAST), ("b", LEAST)]
    assert (found[0].speed, found[0].low, found[0].high) == (1.0, 1.0, 1.0)


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks, for the smoke and the tables."""
    for name in set(NETWORKS) - {"vgg_small", "mlp"}:
        monkeypatch.delitem(NETWORKS, name)
    monkeypatch.setattr(tables, "BATCHES", {"cpu": {"vgg_small": 2, "mlp": 2}})
    monkeypatch.setattr(tables, "EPOCH", {"cpu": (8, 4)})
    monkeypatch.setattr(run, "fix_numerics", str)  # those of this process are others' too


def test_one_command_smokes_and_prints_and_stores_every_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch)
    assert run.main(["device=cpu", "seconds=0", f"out={tmp_path / 'new' / 'speed'}"]) == 0
    printed = capsys.readouterr().out
    assert "2 networks, in two memory formats" in printed
    assert "0 failed or differed" in printed
    assert (tmp_path / "new" / "speed.md").read_text() in printed
    stored = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert {one["step"] for one in stored["smoke"]} > {"train", "attack", "invert", "evaluate", "attack, bfloat16"}
    kinds = [table["title"].split(",")[0] for table in stored["tables"]]
    assert kinds == ["PGD in an L2 ball"] * 2 + ["feature inversion", "a training epoch of 8 images"]
    names = {one["name"] for one in stored["tables"][0]["timings"]}
    assert names >= {"plain loop", "raylab, as trained", "raylab, folded, float32", "raylab, folded, bfloat16"}
    assert "| robustness' loop | 5 |" in printed
    # The index's own wheel is 2.13.0 by its metadata, and 2.13.0+cu130 by itself.
    assert torch.__version__.startswith(stored["provenance"]["packages"]["torch"])


def test_some_tables_alone_come_without_the_smoke(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch)
    assert run.main(["device=cpu", "seconds=0", "tables=epochs", f"out={tmp_path / 'speed'}"]) == 0
    stored, printed = json.loads((tmp_path / "speed.json").read_text()), capsys.readouterr().out
    assert [table["title"] for table in stored["tables"]] == ["a training epoch of 8 images, vgg_small, batch 4"]
    assert (stored["smoke"], "Smoke" in printed) == ([], False)
    assert [one["name"] for one in stored["tables"][0]["timings"]] == ["DataLoader loop", "raylab", "raylab, bfloat16"]


def test_a_step_that_fails_or_gives_other_bits_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch)
    monkeypatch.setattr(tables, "BATCHES", {"cpu": {}})

    def draws(*_given: object) -> torch.Tensor:
        return torch.rand(3)

    def fails(*_given: object) -> torch.Tensor:
        raise RuntimeError("no such kernel\nand more")

    monkeypatch.setattr(smoke, "_evaluate", draws)
    monkeypatch.setattr(smoke, "_attack", fails)
    assert run.main(["device=cpu", "seconds=0", f"out={tmp_path / 'speed'}"]) == run.FAILED
    printed = capsys.readouterr().out
    assert "- mlp, evaluate (channels_last, contiguous): other bits the second time" in printed
    assert "- vgg_small, attack (channels_last, contiguous): RuntimeError: no such kernel\n" in printed


def test_the_narrow_network_is_a_resnet18_of_a_quarter_of_the_width() -> None:
    narrow, wide = (sum(p.numel() for p in build(name, "cpu").body.parameters()) for name in (NARROW, "resnet18"))
    assert 15 < wide / narrow < 16
    assert build(NARROW, "cpu")(images(2, "cpu")).shape == (2, CLASSES)


def test_early_exit_is_timed_beside_a_run_to_the_end_that_breaks_the_same_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluations, "STEPS", 6)
    network, x = contiguous(build("mlp", "cpu")), images(12, "cpu")
    table = evaluations._early_exit(network, x, network(x).argmax(1), 0.25, "cpu", 0.0)
    assert "without exit 0 images differ" in table.title
    assert [one.turns for one in table.timings] == [LEAST] * 3
    assert (table.images, table.steps) == (12, 6)


def test_a_batch_is_recommended_that_is_nearly_the_fastest_and_the_smallest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [recommend.BatchSpeed(rows, rate, rate, rate, rate) for rows, rate in ((10, 1.0), (20, 1.98), (50, 2.0))]
    assert recommend.best(found).rows == 20
    monkeypatch.setattr(recommend, "BATCHES", (1, 2, 4))
    monkeypatch.setattr(recommend, "_free_bytes", lambda _: 10**9)
    monkeypatch.setattr(run, "fix_numerics", str)
    entry.main(["recommend", "vgg_small", "--device", "cpu", "--precision", "bfloat16", "--seconds", "0"])
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[3:6]] == ["1", "2", "4"]
    assert "compute.batch_rows=" in printed
    network = build("vgg_small", "cpu")
    image = recommend._bytes_an_image(network, images(2, "cpu"))
    monkeypatch.setattr(recommend, "_free_bytes", lambda _: int(2.5 * 2 * image / recommend.ROOM))
    assert [one.rows for one in recommend.measured(network, (3, 32, 32), None, "cpu", 0.0)] == [1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mlp", "--shape", "32"], "channels,height,width, got '32'"),
        (["mlq"], "mlq"),
        (["mlp", "--device", "cuda"], "no GPU is at hand"),
    ],
)
def test_what_cannot_be_recommended_is_refused(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "fix_numerics", str)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        entry.main(["recommend", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
