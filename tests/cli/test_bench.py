"""``python -m ftcore bench``: what it measures, what its figures say, and how it refuses."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import ftcore
from ftcore.__main__ import main
from ftcore.bench import cli, machine, models, report
from ftcore.bench.process import Process

COMPARED = all(
    importlib.util.find_spec(name) for name in ("torch", "transformers", "accelerate", "datasets")
)
SMALL = {"rounds": 1, "steps": 2, "rows": 60, "batch-size": 4}


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A model's folder: one layer of BERT, random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    models.write(
        folder,
        ftcore.BertConfig(
            vocab_size=2000,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        ),
    )
    return folder


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """There is no Hugging Face to compare with, which takes seconds to import."""
    without(["transformers"], tmp_path, monkeypatch)


def bench(tmp_path, *arguments, **options):
    """The figures of a run, as its file of JSON holds them."""
    output = tmp_path / "figures.json"
    named = [f"--{name}={value}" for name, value in {**SMALL, **options}.items()]
    assert main(["bench", *map(str, arguments), *named, "--json", str(output)]) == 0
    return json.loads(output.read_text())


def without(names, tmp_path, monkeypatch):
    """Makes these packages impossible to import, here and in processes started from here."""
    code = f"import sys\nfor name in {names!r}:\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    for name in names:
        monkeypatch.setitem(__import__("sys").modules, name, None)


@pytest.mark.skipif(not COMPARED, reason="nothing to compare with is installed")
@pytest.mark.slow
def test_both_sides_are_measured_in_everything(tiny_folder, tmp_path, capsys):
    figures = bench(tmp_path, "--model", tiny_folder, "--busy", precision="float32")
    assert set(figures["measures"]) == {
        "import",
        "tokenize",
        "map",
        "collate",
        "step_float32",
        "busy_step_float32",
        "evaluate_float32",
        "memory_float32",
    }
    for sides in figures["measures"].values():
        ours, theirs = sides["ftcore"], sides["transformers"]
        for side in (ours, theirs):
            assert 0 < side["low"] <= side["median"] <= side["high"]
        assert ours["count"] == theirs["count"]
        assert sides["ratio"] == pytest.approx(theirs["median"] / ours["median"])
    assert figures["measures"]["step_float32"]["ftcore"]["count"] == 2
    printed = capsys.readouterr().out
    assert "| train step, float32 " in printed
    assert "train step beside a busy process, float32" in printed
    assert "pip install" not in printed


@pytest.mark.skipif(not COMPARED, reason="nothing to compare with is installed")
def test_hugging_faces_process_never_loads_ftcore(tiny_folder, tmp_path):
    rows = {"first": ["a b"], "second": ["c"], "label": [0]}
    (tmp_path / "texts.json").write_text(json.dumps({"train": rows, "evaluation": rows}))
    settings = {
        "model": str(tiny_folder),
        "texts": str(tmp_path / "texts.json"),
        "max_length": 64,
        "batch_size": 1,
    }
    for library in ("ftcore", "transformers"):
        with Process(library, 1, settings) as side:
            assert side.ask("tokenize")[0] > 0
            loaded = pathlib.Path(f"/proc/{side.pid}/maps").read_text()
        assert ("ftcore/_core" in loaded) == (library == "ftcore")


@pytest.mark.onednn
def test_the_limit_follows_from_its_parts(tiny_folder, tmp_path, alone, capsys):
    figures = bench(tmp_path, "--model", tiny_folder, only="step", precision="float32")
    limit = figures["limit"]["float32"]
    seconds = limit["flops"] / limit["flops_per_second"]
    seconds += limit["adamw_bytes"] / limit["bytes_per_second"]
    assert limit["seconds"] == pytest.approx(seconds)
    step = figures["measures"]["step_float32"]["ftcore"]["median"]
    assert limit["ratio"] == pytest.approx(step / seconds)
    assert "limit = needed operations / rate" in capsys.readouterr().out


def test_where_there_is_no_limit_the_report_says_why(
    tiny_folder, tmp_path, alone, monkeypatch, capsys
):
    monkeypatch.setattr(cli, "_has_onednn", lambda: False)
    for measure, said in (("collate", False), ("step", True)):
        figures = bench(tmp_path, "--model", tiny_folder, only=measure, precision="float32")
        assert figures["limit"] == {}
        assert ("this build of ftcore has no oneDNN" in capsys.readouterr().out) == said


def test_the_profile_adds_up_to_the_step(tiny_folder, tmp_path, alone, capsys):
    figures = bench(
        tmp_path, "--model", tiny_folder, "--profile", only="collate", precision="float32"
    )
    profile = figures["profile"]["float32"]
    operations = {name for name, *_ in profile["operations"]}
    assert operations >= {"linear_forward", "linear_backward", "attention_backward", "adamw"}
    assert 0 < sum(seconds for *_, seconds in profile["operations"]) < profile["seconds"]
    counted = sum(calls for name, _, calls, _ in profile["operations"] if name == "linear_backward")
    # Four products of the first layer, five of the last, two of the head; in each of two steps.
    assert counted == 2 * 11
    assert "| between operations" in capsys.readouterr().out


def test_without_hugging_face_ftcore_is_measured_alone(tiny_folder, tmp_path, monkeypatch, capsys):
    without(["torch", "transformers", "accelerate", "datasets"], tmp_path, monkeypatch)
    options = {"only": "tokenize,collate,step,evaluate,memory", "precision": "float32"}
    figures = bench(tmp_path, "--model", tiny_folder, **options)
    assert all(set(sides) == {"ftcore"} for sides in figures["measures"].values())
    assert len(figures["measures"]) == 5
    printed = capsys.readouterr().out
    assert "Hugging Face |" not in printed
    assert "pip install 'ftcore[hf]'" in printed


@pytest.mark.parametrize("length", [3, 24, 64])
def test_a_fixed_length_is_that_of_every_row(tiny_folder, tmp_path, alone, length):
    options = {"only": "collate", "precision": "float32", "length": length}
    assert bench(tmp_path, "--model", tiny_folder, **options)["tokens"] == 4 * length


def test_a_busy_machine_is_said_to_be_one(tiny_folder, tmp_path, alone, capsys):
    figures = bench(tmp_path, "--model", tiny_folder, only="collate")
    capsys.readouterr()
    for load, warned in ((0.1, False), (2.0 * figures["machine"]["processors"], True)):
        figures["load"]["before"] = load
        report.show(figures)
        assert ("measure again when the machine is quiet" in capsys.readouterr().out) == warned


def test_threads_are_those_asked_for_or_of_the_environment(
    tiny_folder, tmp_path, alone, monkeypatch, capsys
):
    figures = bench(tmp_path, "--model", tiny_folder, only="collate", threads=1)
    assert figures["threads"] == 1
    assert figures["machine"]["processors"] == len(machine.processors())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert bench(tmp_path, "--model", tiny_folder, only="collate")["threads"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", "2"], "--length: must be 'mrpc' or a number of tokens of at least 3"),
        (["--length", "long"], "--length: must be 'mrpc' or a number of tokens of at least 3"),
        (["--batch-size", "0"], "--batch-size: must be at least 1, got 0"),
        (["--rounds", "two"], "--rounds: invalid count value: 'two'"),
        (["--precision", "float64"], "--precision: invalid choice"),
        (["--only", "step,speed"], "'speed' is none of import, tokenize"),
    ],
)
def test_options_out_of_range_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", *arguments])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "./missing"], "--model ./missing: "),
        (["--model", "empty"], "--model empty: "),
        (["--model", "TINY", "--length", "65"], "takes at most 64"),
        (["--model", "TINY", "--rows", "11"], "--rows 11 is too few: 4 steps of 4 rows"),
        (["--threads", "100000"], "--threads 100000: there are "),
        (["--json", "missing/figures.json"], "--json missing/figures.json: cannot be written to"),
        (["--json", "empty"], "--json empty: cannot be written to: Is a directory"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    arguments, message, tiny_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    arguments = [str(tiny_folder) if argument == "TINY" else argument for argument in arguments]
    assert main(["bench", "--batch-size", "4", "--steps", "2", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("value", ["two", "0", "-1"])
def test_omp_num_threads_that_is_no_number_is_refused(monkeypatch, capsys, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert main(["bench"]) == 2
    assert f"OMP_NUM_THREADS={value}: must be a number" in capsys.readouterr().err


def test_a_run_that_fails_leaves_the_file_of_figures_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.json").write_text("{}")
    for name in ("old.json", "new.json"):
        assert main(["bench", "--model", "./missing", "--json", name]) == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.json", "{}")]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups of processes")
def test_an_interrupted_run_says_so_in_one_line_and_leaves_nothing(tiny_folder, tmp_path, alone):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "ftcore", "bench", "--model", tiny_folder, "--busy"]
        + ["--only=collate", "--rounds=1000", "--steps=400", "--precision=float32"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines = iter(process.stderr.readline, "")
    assert "round 1 of 1000 is done" in next(lines)
    time.sleep(0.1)  # into the steps beside the busy process
    os.killpg(process.pid, signal.SIGINT)
    rest = [line for line in lines if "is done" not in line]
    assert process.wait() == 130
    assert rest == ["ftcore: interrupted\n"]
    assert list(scratch.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # those that end by themselves may need a moment
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def test_commands_are_named_where_none_is_given(capsys):
    with pytest.raises(SystemExit) as exit:
        main([])
    assert exit.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    printed = capsys.readouterr().out
    assert "demo" in printed
    assert "bench" in printed
