"""Trainer's logs, steps and metrics equal those of transformers' Trainer, dropout aside."""

import numpy as np
import pytest
import transformers
from hugging_face import mrpc, no_dropout, tokenizer

import ftcore

# Measured times, which differ from run to run.
TIMES = ("_runtime", "_per_second")


def metrics(prediction):
    logits, labels = prediction
    if labels.dtype.kind == "f":
        return {"error": float(np.abs(logits.reshape(labels.shape) - labels).mean())}
    return {"accuracy": float((np.argmax(logits, axis=-1) == labels).mean())}


def relabelled(data, num_labels):
    """MRPC with labels for two classes, or floats: one a row for regression, or three."""
    if num_labels == 2:
        return data
    columns = data.column_names["train"]
    targets = {
        1: lambda row: float(row["label"]) + 0.5,
        3: lambda row: [float(row["label"]), 0.0, 1.0 - row["label"]],
    }[num_labels]
    data = data.map(lambda row: {"labels": targets(row)})
    return data.remove_columns([name for name in columns if name == "label"])


def run(library, name, folder, rows=None, evaluated=40, collator=None, num_labels=2, **options):
    """A Trainer of transformers or of ftcore that has trained."""
    library.set_seed(42)
    model = library.AutoModelForSequenceClassification.from_pretrained(
        name, num_labels=num_labels, **no_dropout(name)
    )
    data = relabelled(mrpc(name), num_labels)
    train = data["train"] if rows is None else data["train"].select(range(rows))
    options = {"logging_steps": 1, "save_strategy": "no", "report_to": "none", **options}
    trainer = library.Trainer(
        model,
        library.TrainingArguments(str(folder), disable_tqdm=True, use_cpu=True, **options),
        data_collator=collator or transformers.DataCollatorWithPadding(tokenizer(name)),
        train_dataset=train,
        eval_dataset=data["validation"].select(range(evaluated)),
        compute_metrics=metrics,
    )
    trainer.output = trainer.train()
    return trainer


@pytest.fixture
def both(hub, tmp_path):
    """Runs the same job with transformers, then with ftcore."""

    def jobs(name, **options):
        return [
            run(library, name, tmp_path / library.__name__, **options)
            for library in (transformers, ftcore)
        ]

    return jobs


def assert_equal_logs(theirs, ours, tolerance=1e-5):
    assert len(theirs) == len(ours)
    for expected, got in zip(theirs, ours, strict=True):
        # transformers' PrinterCallback takes total_flos out of the logs that it prints.
        assert list(expected) == [key for key in got if key != "total_flos" or key in expected]
        for key, value in expected.items():
            if not key.endswith(TIMES):
                # torch adds up the squares in float32, which costs it some 5e-5 on big tables.
                relative = 1e-4 if key == "grad_norm" else tolerance
                assert got[key] == pytest.approx(value, rel=relative, abs=tolerance), key


@pytest.mark.slow
def test_50_steps_of_minilm_overlay_the_losses_of_transformers(both):
    theirs, ours = both("minilm", max_steps=50)
    expected = [entry["loss"] for entry in theirs.state.log_history if "loss" in entry]
    losses = [entry["loss"] for entry in ours.state.log_history if "loss" in entry]
    assert len(losses) == 50
    assert np.abs(np.array(losses) - expected).max() < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"max_steps": 12},
        {"num_train_epochs": 1.5, "lr_scheduler_type": "cosine", "warmup_steps": 0.2},
        {"max_steps": 9, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 4},
        {"max_steps": 9, "lr_scheduler_type": "constant", "weight_decay": 0.1, "seed": 7},
        {"max_steps": 9, "max_grad_norm": 0.0, "data_seed": 3, "adam_beta2": 0.9},
        {"max_steps": 9, "max_grad_norm": 0.1, "train_sampling_strategy": "sequential"},
        {"num_train_epochs": 2, "dataloader_drop_last": True, "logging_steps": 3},
        {"num_train_epochs": 2, "logging_strategy": "epoch", "logging_first_step": True},
        {"max_steps": 6, "logging_steps": 0.5, "eval_strategy": "steps", "eval_steps": 0.34},
        {"num_train_epochs": 2, "eval_strategy": "epoch", "eval_delay": 1.5},
        {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 3, "eval_on_start": True},
        {"max_steps": 3, "logging_strategy": "no", "per_device_eval_batch_size": 32},
    ],
    ids=lambda options: ",".join(f"{key}={value}" for key, value in options.items()),
)
def test_logs_equal(both, options):
    theirs, ours = both("tiny-bert", rows=62, **options)
    assert_equal_logs(theirs.state.log_history, ours.state.log_history)
    assert ours.output.global_step == theirs.output.global_step
    assert ours.output.training_loss == pytest.approx(theirs.output.training_loss, abs=1e-5)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_gradients_accumulate_as_in_transformers(both, steps):
    """Which adds up the losses of the micro-batches; the last of an epoch has fewer of them."""
    theirs, ours = both("tiny-bert", rows=62, num_train_epochs=2, gradient_accumulation_steps=steps)
    assert_equal_logs(theirs.state.log_history, ours.state.log_history)


@pytest.mark.parametrize("num_labels", [1, 3])
def test_losses_of_floats_equal(both, num_labels):
    theirs, ours = both("tiny-bert", rows=62, max_steps=8, num_labels=num_labels)
    assert_equal_logs(theirs.state.log_history, ours.state.log_history)
    data = ours.eval_dataset
    expected, got = theirs.predict(data), ours.predict(data)
    assert np.abs(expected.predictions - got.predictions).max() < 1e-5
    assert np.array_equal(expected.label_ids, got.label_ids)
    assert expected.label_ids.dtype == got.label_ids.dtype


def test_distilbert_logs_equal(both):
    theirs, ours = both("distilbert-base-uncased", max_steps=2, evaluated=8)
    assert_equal_logs(theirs.state.log_history, ours.state.log_history)


def test_weights_equal_after_training(both):
    theirs, ours = both("tiny-bert", rows=62, max_steps=10, weight_decay=0.01)
    for name, value in theirs.model.state_dict().items():
        if not name.endswith("key.bias"):
            np.testing.assert_allclose(
                ours.model.state_dict()[name], value.numpy(), rtol=0, atol=2e-6, err_msg=name
            )


def test_evaluate_and_predict_equal(both):
    theirs, ours = both("tiny-bert", rows=16, max_steps=1)
    data = mrpc("tiny-bert")["validation"].select(range(50, 93))
    assert_equal_logs([theirs.evaluate(data)], [ours.evaluate(data)])
    assert_equal_logs(
        [theirs.evaluate(data, metric_key_prefix="mrpc")],
        [ours.evaluate(data, metric_key_prefix="mrpc")],
    )
    two = {"a": data, "b": data.select(range(8))}
    assert ours.evaluate(two).keys() == theirs.evaluate(two).keys()
    expected, got = theirs.predict(data), ours.predict(data)
    assert np.abs(expected.predictions - got.predictions).max() < 1e-5
    assert np.array_equal(expected.label_ids, got.label_ids)
    assert expected.label_ids.dtype == got.label_ids.dtype
    assert_equal_logs([expected.metrics], [got.metrics])
    unlabelled = data.remove_columns("label")
    expected, got = theirs.predict(unlabelled), ours.predict(unlabelled)
    assert got.label_ids is None is expected.label_ids
    assert_equal_logs([expected.metrics], [got.metrics])


def test_any_collator_gives_the_batches_it_makes(both):
    collate = transformers.DataCollatorWithPadding(
        tokenizer("tiny-bert"), padding="max_length", max_length=128
    )
    calls = []

    def collator(rows):
        calls.append(sorted(rows[0]))
        return collate(rows)

    theirs, ours = both("tiny-bert", rows=30, max_steps=5, collator=collator)
    assert_equal_logs(theirs.state.log_history, ours.state.log_history)
    assert all(
        columns == ["attention_mask", "input_ids", "label", "token_type_ids"] for columns in calls
    )


def test_packed_batches_and_a_collator_of_ones_own_take_the_same_steps(hub, tmp_path):
    collate = transformers.DataCollatorWithPadding(tokenizer("tiny-bert"))
    packed = run(ftcore, "tiny-bert", tmp_path, rows=30, max_steps=5)
    padded = run(
        ftcore, "tiny-bert", tmp_path, rows=30, max_steps=5, collator=lambda rows: collate(rows)
    )
    for name, value in packed.model.state_dict().items():
        assert np.array_equal(value, padded.model.state_dict()[name]), name
    assert packed.state.total_flos == padded.state.total_flos


def test_work_is_reckoned_as_in_transformers(both, monkeypatch):
    # transformers' printer would take the number out of the metrics.
    monkeypatch.setattr(transformers.PrinterCallback, "on_log", lambda *args, **kwargs: None)
    theirs, ours = both("tiny-bert", rows=30, max_steps=5)
    assert ours.output.metrics["total_flos"] == theirs.output.metrics["total_flos"]


def hear(event):
    """A method that notes an event, the step, and what came with it."""

    def method(self, args, state, control, **kwargs):
        self.heard.append((event, state.global_step, sorted(kwargs)))

    return method


def test_callbacks_of_transformers_hear_the_same_events(hub, tmp_path):
    class Listener(transformers.TrainerCallback):
        def __init__(self):
            self.heard = []

    for event in vars(transformers.TrainerCallback):
        if event.startswith("on_"):
            setattr(Listener, event, hear(event))
    listeners = []
    for library in (transformers, ftcore):
        listeners.append(Listener())
        model = library.AutoModelForSequenceClassification.from_pretrained("tiny-bert")
        data = mrpc("tiny-bert")["train"].select(range(30))
        trainer = library.Trainer(
            model,
            library.TrainingArguments(
                str(tmp_path / library.__name__),
                max_steps=3,
                logging_steps=2,
                gradient_accumulation_steps=2,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            data_collator=transformers.DataCollatorWithPadding(tokenizer("tiny-bert")),
            train_dataset=data,
            eval_dataset=data,
            callbacks=[listeners[-1]],
        )
        trainer.train()
        trainer.predict(data)
    assert listeners[1].heard == listeners[0].heard


def test_training_arguments_and_early_stopping_of_transformers(hub, tmp_path):
    stopped = []
    for library in (transformers, ftcore):
        library.set_seed(42)
        data = mrpc("tiny-bert")["train"].select(range(40))
        trainer = library.Trainer(
            library.AutoModelForSequenceClassification.from_pretrained(
                "tiny-bert", **no_dropout("tiny-bert")
            ),
            transformers.TrainingArguments(
                str(tmp_path / library.__name__),
                num_train_epochs=4,
                learning_rate=1e-2,
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                load_best_model_at_end=True,
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=transformers.DataCollatorWithPadding(tokenizer("tiny-bert")),
            train_dataset=data,
            eval_dataset=data.select(range(8)),
            callbacks=[library.EarlyStoppingCallback(early_stopping_patience=1)],
        )
        trainer.train()
        best = trainer.state.best_model_checkpoint
        stopped.append((trainer.state.global_step, trainer.state.best_global_step, best[-12:]))
        assert [p.name for p in (tmp_path / library.__name__).iterdir()] == [best.split("/")[-1]]
    assert stopped[0] == stopped[1]
