"""What would go wrong in the middle of training is found before its first step."""

import json
import os

import numpy as np
import pytest

from ftcore import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from ftcore.training import loader as loaders

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}
ROW = {"input_ids": [2, 5, 6, 3], "labels": 1}
UNLABELLED = {"input_ids": [2, 3]}


@pytest.fixture
def make(tmp_path):
    """Makes a Trainer of a small model over rows."""

    def trainer(rows=(ROW,) * 9, eval_rows=None, config=SMALL, **options):
        set_seed(0)
        metrics, callbacks = options.pop("compute_metrics", None), options.pop("callbacks", None)
        options = {"disable_tqdm": True, "save_strategy": "no", "max_steps": 2, **options}
        return Trainer(
            BertForSequenceClassification(BertConfig(**config)),
            TrainingArguments(tmp_path / "out", **options),
            train_dataset=rows,
            eval_dataset=eval_rows,
            compute_metrics=metrics,
            callbacks=callbacks,
        )

    return trainer


def weights(model):
    return {name: value.copy() for name, value in model.state_dict().items()}


def assert_refused(trainer, error, named, **options):
    before = weights(trainer.model)
    with pytest.raises(error, match=named) as caught:
        trainer.train(**options)
    for name, value in trainer.model.state_dict().items():
        assert np.array_equal(value, before[name]), name
    assert trainer.state.global_step == 0
    return caught.value


# What a killed process left


def test_what_a_killed_save_left_is_swept_away(make, tmp_path):
    for left in (f".checkpoint-2.{os.getpid()}.partial", ".checkpoint-7.1.partial"):
        (tmp_path / "out" / left).mkdir(parents=True)
    (tmp_path / "out" / ".checkpoint-1.1.replaced").mkdir()
    (tmp_path / "out" / ".checkpoint-mine").mkdir()
    make(save_strategy="steps").train()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".checkpoint-mine",
        "checkpoint-1",
        "checkpoint-2",
    ]


def test_a_leftover_of_ones_own_number_is_no_hindrance(make, tmp_path):
    class Leave(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            left = tmp_path / "out" / f".checkpoint-2.{os.getpid()}.partial"
            left.mkdir(exist_ok=True)

    make(save_strategy="steps", callbacks=[Leave]).train()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-2"]


# Data sets to evaluate on


@pytest.mark.parametrize("when", [{"eval_strategy": "epoch"}, {"eval_on_start": True}])
@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([ROW, {**ROW, "labels": 2}], "row 1 has the label 2"),
        ([{"text": "words", "labels": 0}], "input_ids"),
        ([], "empty"),
        ({"good": [ROW], "bad": [{**ROW, "labels": 2}]}, "row 0 has the label 2"),
    ],
)
def test_a_bad_data_set_to_evaluate_on(make, rows, named, when):
    error = assert_refused(make(eval_rows=rows, **when), ValueError, named)
    assert ("['bad']" if isinstance(rows, dict) else "eval_dataset") in error.__notes__[0]


def test_nothing_to_evaluate_on_at_the_start(make):
    assert_refused(make(eval_on_start=True), ValueError, "eval_dataset")


def test_the_loss_as_metric_needs_labels(make):
    options = {"eval_strategy": "epoch", "metric_for_best_model": "loss"}
    assert_refused(make(eval_rows=[UNLABELLED], **options), ValueError, "no labels")
    options["metric_for_best_model"] = "eval_a_loss"
    sets = {"a": [UNLABELLED], "b": [ROW]}
    assert_refused(make(eval_rows=sets, **options), ValueError, "no labels")


def test_columns_are_read_once_in_a_training(make, monkeypatch):
    read = []
    columns = loaders.read_columns
    monkeypatch.setattr(
        loaders, "read_columns", lambda rows, names: read.append(rows) or columns(rows, names)
    )
    rows, eval_rows = [ROW] * 9, [ROW] * 3
    trainer = make(rows, eval_rows, eval_strategy="steps", eval_steps=1, eval_on_start=True)
    trainer.train()
    assert len([entry for entry in trainer.state.log_history if "eval_loss" in entry]) == 3
    assert [len(rows) for rows in read] == [9, 3]
    eval_rows[:] = [{**ROW, "labels": 2}]
    with pytest.raises(ValueError, match="label 2"):
        trainer.evaluate()


# Rows


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({**ROW, "token_type_ids": [0, 0, 2, 0]}, "row 1 .* type id 2.*type_vocab_size is 2"),
        ({**ROW, "token_type_ids": [0, 0, -1, 0]}, "row 1 has the token type id -1"),
        ({**ROW, "position_ids": [0, 1, 2, 12]}, "row 1 .* position id 12.*embeddings is 12"),
        ({**ROW, "position_ids": [-1, 1, 2, 3]}, "row 1 has the position id -1"),
    ],
)
def test_ids_out_of_range(make, row, named):
    good = {**ROW, **{name: [0, 1, 1, 0] for name in row if name not in ROW}}
    assert_refused(make([good, row]), ValueError, named)


def test_labels_that_are_all_ignored(make):
    ignored = {**ROW, "labels": -100}
    assert_refused(make([ignored] * 3), ValueError, "all labels are -100")
    assert make([ignored, ROW]).train().global_step == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_labels_that_are_no_numbers(make, bad):
    rows = [{**ROW, "labels": 0.5}, {**ROW, "labels": bad}]
    trainer = make(rows, config={**SMALL, "num_labels": 1})
    assert_refused(trainer, ValueError, f"row 1 has the label .*{bad}")


# What compute_metrics gives


def test_metrics_of_numpy_are_saved_as_json(make, tmp_path):
    def metrics(_):
        return {
            "scalar": np.float32(0.5),
            "array": np.arange(2),
            "nested": {"by": [np.int64(3), {"zero": np.array(1.5)}]},
        }

    trainer = make(
        eval_rows=[ROW], eval_strategy="steps", save_strategy="steps", compute_metrics=metrics
    )
    trainer.train()
    state = json.loads((tmp_path / "out" / "checkpoint-2" / "trainer_state.json").read_text())
    entry = next(entry for entry in state["log_history"] if "eval_scalar" in entry)
    assert entry["eval_scalar"] == 0.5
    assert entry["eval_array"] == [0, 1]
    assert entry["eval_nested"] == {"by": [3, {"zero": 1.5}]}


@pytest.mark.parametrize("result", [None, 0.5, [("accuracy", 1.0)], {1: 0.5}])
def test_metrics_without_names(make, result):
    trainer = make(eval_rows=[ROW], compute_metrics=lambda _: result)
    with pytest.raises(TypeError, match="compute_metrics must return a dict of names to numbers"):
        trainer.evaluate()


# Progress bars


def test_an_error_ends_the_progress_bar(make):
    class Fail(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            raise RuntimeError("stop")

    from ftcore.training.callbacks import ProgressCallback

    trainer = make(disable_tqdm=False, callbacks=[Fail])
    shown = next(c for c in trainer.callback_handler.callbacks if type(c) is ProgressCallback)
    with pytest.raises(RuntimeError, match="stop"):
        trainer.train()
    assert shown.training_bar is None


# Checkpoints


@pytest.fixture
def checkpoint(make, tmp_path):
    """A checkpoint after two steps."""
    make(save_strategy="steps").train()
    return tmp_path / "out" / "checkpoint-2"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trainer_state.json", []),
        ("trainer_state.json", {"global_step": "two"}),
        ("optimizer.json", {}),
        ("optimizer.json", []),
        ("optimizer.json", {"param_groups": [{}, {}], "steps": 2}),
        ("optimizer.json", {"param_groups": 3, "steps": 2}),
        ("optimizer.json", {"param_groups": [], "steps": -1}),
        ("scheduler.json", {}),
        ("scheduler.json", 3),
        ("scheduler.json", {"last_epoch": "one", "base_lrs": [0.1, 0.1]}),
        ("scheduler.json", {"last_epoch": 2, "base_lrs": [0.1]}),
        ("scheduler.json", {"last_epoch": 2, "base_lrs": ["a", "b"]}),
        ("rng_state.json", {}),
        ("rng_state.json", {"python": [3, [1, 2], None], "numpy": []}),
        ("rng_state.json", {"python": None}),
    ],
)
def test_wrong_content_of_a_checkpoint_changes_nothing(make, checkpoint, name, content):
    (checkpoint / name).write_text(json.dumps(content))
    trainer, generator = make(), np.random.get_state()[1].copy()
    named = rf"{name} is damaged".replace(".", r"\.")
    assert_refused(trainer, ValueError, named, resume_from_checkpoint=checkpoint)
    assert np.array_equal(np.random.get_state()[1], generator)
    assert trainer.optimizer.steps == 0


def test_wrong_options_of_a_checkpoints_optimizer_change_nothing(make, checkpoint):
    path = checkpoint / "optimizer.json"
    settings = json.loads(path.read_text())
    settings["param_groups"][0]["lr"] = 0.5
    settings["param_groups"][1]["betas"] = [2, 2]
    path.write_text(json.dumps(settings))
    trainer = make()
    assert_refused(trainer, ValueError, "damaged.*betas", resume_from_checkpoint=checkpoint)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [5e-5, 5e-5]


@pytest.mark.parametrize(
    "changed", [{"num_labels": 3}, {"num_hidden_layers": 2}, {"intermediate_size": 32}]
)
def test_a_checkpoint_of_another_model_changes_nothing(make, checkpoint, changed):
    trainer = make(config={**SMALL, **changed})
    error = assert_refused(
        trainer, ValueError, "the checkpoint is of another model", resume_from_checkpoint=checkpoint
    )
    assert "ignore_mismatched_sizes" not in str(error)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_truncated_file_of_a_checkpoint_changes_nothing(make, checkpoint, name):
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:-4])
    named = rf"{name} is not a whole".replace(".", r"\.")
    assert_refused(make(), ValueError, named, resume_from_checkpoint=checkpoint)
