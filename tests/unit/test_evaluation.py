"""Evaluation and prediction: whole batches packed together, with the losses of each alone."""

import numpy as np
import pytest

import ftcore.training.loader
from ftcore import (
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

LABELS = {
    "single_label_classification": lambda g: int(g.integers(0, 3)),
    "regression": lambda g: float(g.normal()),
    "multi_label_classification": lambda g: g.integers(0, 2, 3).astype(float).tolist(),
}


def rows(problem, count=23, seed=0):
    """Rows of 3 to 12 tokens; every fifth label of a single-label set is to be ignored."""
    generator = np.random.default_rng(seed)
    made = []
    for i in range(count):
        label = LABELS[problem](generator)
        if problem == "single_label_classification" and i % 5 == 0:
            label = -100
        tokens = generator.integers(5, 50, int(generator.integers(1, 11))).tolist()
        made.append({"input_ids": [2, *tokens, 3], "labels": label})
    return made


class Count(TrainerCallback):
    def __init__(self):
        self.steps = 0

    def on_prediction_step(self, args, state, control, **kwargs):
        self.steps += 1


@pytest.fixture
def make(small_config, tmp_path):
    def trainer(problem="single_label_classification", callbacks=(), **options):
        set_seed(0)
        small_config.num_labels = 1 if problem == "regression" else 3
        small_config.problem_type = problem
        model = BertForSequenceClassification(small_config)
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.data[...] *= 20  # so that rows differ
        options = {"disable_tqdm": True, "per_device_eval_batch_size": 4, **options}
        return Trainer(model, TrainingArguments(tmp_path, **options), callbacks=list(callbacks))

    return trainer


def one_by_one(trainer, data, size):
    """(mean loss, logits) of the model called with a batch at a time."""
    losses, logits = [], []
    for start in range(0, len(data), size):
        batch = data[start : start + size]
        width = max(len(row["input_ids"]) for row in batch)
        ids = [row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in batch]
        mask = [[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in batch]
        output = trainer.model(ids, mask, labels=np.array([row["labels"] for row in batch]))
        losses += [float(output.loss)] * len(batch)
        logits.append(np.array(output.logits))
    finite = [loss for loss in losses if np.isfinite(loss)]
    return np.mean(finite), np.concatenate(logits)


@pytest.mark.parametrize("tokens", [1, 40, 2048])
@pytest.mark.parametrize("problem", LABELS)
def test_losses_and_logits_are_those_of_each_batch_alone(make, monkeypatch, problem, tokens):
    monkeypatch.setattr(ftcore.training.loader, "_PASS_TOKENS", tokens)
    trainer, data = make(problem), rows(problem)
    loss, logits = one_by_one(trainer, data, 4)
    output = trainer.predict(data)
    assert output.metrics["test_loss"] == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(output.predictions, logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        output.label_ids, np.array([row["labels"] for row in data], output.label_ids.dtype)
    )


def test_a_batch_of_ignored_labels_has_no_say_in_the_loss(make):
    data = rows("single_label_classification", 12)
    for row in data[4:8]:
        row["labels"] = -100
    trainer = make()
    loss, _ = one_by_one(trainer, data, 4)
    assert trainer.evaluate(data)["eval_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [1, 4, 23, 100])
def test_a_prediction_step_is_a_batch_however_many_are_packed(make, size, drop_last):
    count, data = Count(), rows("single_label_classification")
    trainer = make(
        callbacks=[count], per_device_eval_batch_size=size, dataloader_drop_last=drop_last
    )
    kept = len(data) // size * size if drop_last else len(data)
    output = trainer.predict(data)
    assert count.steps == (kept // size if drop_last else -(-kept // size))
    if kept:
        assert len(output.predictions) == len(output.label_ids) == kept
    else:
        assert output.predictions is None and "test_loss" not in output.metrics


def test_batches_go_through_the_model_together(make):
    trainer, data = make(), rows("single_label_classification")
    sizes = []
    core = trainer.model.core

    class Spy:
        def __getattr__(self, name):
            return getattr(core, name)

        def evaluate(self, batch, loss_rows):
            sizes.append((batch.sequences, loss_rows))
            return core.evaluate(batch, loss_rows)

    trainer.model.core = Spy()
    trainer.evaluate(data)
    assert sizes == [(23, 4)]


def test_a_collator_of_ones_own_is_called_for_every_batch(make):
    seen = []

    def collate(batch):
        seen.append(len(batch))
        width = max(len(row["input_ids"]) for row in batch)
        return {
            "input_ids": [r["input_ids"] + [0] * (width - len(r["input_ids"])) for r in batch],
            "attention_mask": [[i < len(r["input_ids"]) for i in range(width)] for r in batch],
            "labels": np.array([row["labels"] for row in batch]),
        }

    trainer, data = make(), rows("single_label_classification")
    expected = trainer.predict(data)
    trainer.data_collator = collate
    output = trainer.predict(data)
    assert seen == [4, 4, 4, 4, 4, 3]
    np.testing.assert_allclose(output.predictions, expected.predictions, rtol=1e-4, atol=1e-5)
    loss = expected.metrics["test_loss"]
    assert output.metrics["test_loss"] == pytest.approx(loss, rel=1e-5)


def test_rows_without_labels_have_logits_alone(make):
    data = [{"input_ids": row["input_ids"]} for row in rows("single_label_classification")]
    output = make().predict(data)
    assert output.predictions.shape == (23, 3) and output.label_ids is None
    assert "test_loss" not in output.metrics


def test_prediction_loss_only(make):
    data = rows("single_label_classification")
    output = make(prediction_loss_only=True).predict(data)
    assert output.predictions is None and output.label_ids is None
    assert output.metrics["test_loss"] > 0


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_an_output_from_before_an_evaluation_has_no_backward_any_more(make, method):
    trainer, data = make(), rows("single_label_classification")
    output = trainer.model([data[1]["input_ids"]], labels=np.array([1]))
    getattr(trainer, method)(data)
    with pytest.raises(RuntimeError, match="Trainer has run the model since: run the model again"):
        output.loss.backward()
    assert not trainer.model.has_gradients


def test_losses_of_no_rows_are_refused(make):
    trainer = make()
    batch = trainer.model.pack([[2, 3]])
    with pytest.raises(ValueError, match="loss_rows must be at least 1, got 0"):
        trainer.model.core.evaluate(batch, 0)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_progress_bar_ends_where_evaluation_is_broken_off(make, capsys, method, error):
    from ftcore.training.callbacks import ProgressCallback

    class Break(TrainerCallback):
        def on_prediction_step(self, args, state, control, **kwargs):
            if bar.prediction_bar is not None:
                bars.append(bar.prediction_bar)
                raise error

    bars = []
    trainer = make(disable_tqdm=False)
    trainer.add_callback(Break)
    (bar,) = (c for c in trainer.callback_handler.callbacks if isinstance(c, ProgressCallback))
    with pytest.raises(error):
        getattr(trainer, method)(rows("single_label_classification"))
    assert bar.prediction_bar is None and bars[0].disable


def test_arguments_that_changed_are_checked_and_followed(make):
    trainer, data = make(), rows("single_label_classification")
    trainer.args.per_device_eval_batch_size = 0
    for method in (trainer.evaluate, trainer.predict):
        with pytest.raises(ValueError, match="per_device_eval_batch_size"):
            method(data)
    trainer.args.per_device_eval_batch_size = 23
    loss, _ = one_by_one(trainer, data, 23)
    assert trainer.evaluate(data)["eval_loss"] == pytest.approx(loss, rel=1e-5)
