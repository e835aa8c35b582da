"""Logits, losses, gradients and saved files equal those of transformers on real MRPC batches."""

import numpy as np
import pytest
import torch
import transformers
from hugging_face import batch, no_dropout

from ftcore import AutoModelForSequenceClassification, set_seed


def both(name, **options):
    """A model with transformers' and with ftcore's class, after the same seed."""
    models = []
    for kind in (
        transformers.AutoModelForSequenceClassification,
        AutoModelForSequenceClassification,
    ):
        set_seed(42)
        models.append(kind.from_pretrained(name, **options))
    return models


def assert_equal_gradients(theirs, ours):
    expected = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    assert list(expected) == [p.name for p in ours.parameters()]
    for parameter in ours.parameters():
        want, got = expected[parameter.name], parameter.grad
        # A key's bias adds the same to all scores of a row, so that its gradient is 0.
        key_bias = parameter.name.endswith(("key.bias", "k_lin.bias"))
        limit = 1e-6 if key_bias else 1e-4 * np.abs(want).max()
        assert np.abs(got - want).max() <= limit, parameter.name


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("bert-base-uncased", 0, 8),
        ("distilbert-base-uncased", 8, 8),
        ("minilm", 100, 8),
        ("tiny-bert", 0, 64),
    ],
)
def test_logits_loss_and_gradients(hub, name, first, count):
    theirs, ours = both(name)
    inputs = batch(name, first, count)
    expected, got = theirs(**inputs), ours(**inputs)
    expected.loss.backward()
    got.loss.backward()
    assert (expected.logits - got.logits).abs().max() < 1e-5
    assert got.loss.item() == pytest.approx(expected.loss.item(), abs=1e-6)
    assert_equal_gradients(theirs, ours)


@pytest.mark.parametrize(
    ("num_labels", "problem_type", "labels"),
    [
        (1, "regression", lambda n: torch.linspace(-1, 2, n)),
        (3, "regression", lambda n: torch.linspace(-1, 2, 3 * n).reshape(n, 3)),
        (3, "multi_label_classification", lambda n: (torch.arange(3 * n) % 2.0).reshape(n, 3)),
        (3, "single_label_classification", lambda n: torch.arange(n) % 3),
    ],
)
def test_every_kind_of_loss(hub, num_labels, problem_type, labels):
    theirs, ours = both("tiny-bert", num_labels=num_labels, problem_type=problem_type)
    inputs = {**batch("tiny-bert", 0, 8), "labels": labels(8)}
    expected, got = theirs(**inputs), ours(**inputs)
    expected.loss.backward()
    got.loss.backward()
    assert got.loss.item() == pytest.approx(expected.loss.item(), abs=1e-6)
    assert_equal_gradients(theirs, ours)


def test_gradients_of_a_loss_of_ones_own(hub):
    theirs, ours = both("tiny-bert")
    inputs = batch("tiny-bert", 0, 8)
    labels = inputs.pop("labels")
    for model in (theirs, ours):
        loss = torch.nn.functional.cross_entropy(
            model(**inputs).logits, labels, label_smoothing=0.1
        )
        (loss / 3).backward()
    assert_equal_gradients(theirs, ours)


def test_any_attention_mask(hub):
    theirs, ours = both("tiny-bert")
    inputs = batch("tiny-bert", 0, 8)
    mask = inputs["attention_mask"]
    mask[0, 3:6] = 0  # a gap
    mask[1, 1] = 0
    mask[2] = mask[2].flip(0)  # as padded on the left
    mask[2, 0] = 1
    inputs["attention_mask"] = mask
    assert (theirs(**inputs).logits - ours(**inputs).logits).abs().max() < 1e-5


def test_positions_of_ones_own(hub):
    theirs, ours = both("tiny-bert")
    inputs = batch("tiny-bert", 0, 8)
    length = inputs["input_ids"].shape[1]
    inputs["position_ids"] = torch.arange(length).flip(0).expand(8, -1) + 7
    assert (theirs(**inputs).logits - ours(**inputs).logits).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["tiny-bert", "distilbert-base-uncased"])
def test_new_weights_are_those_of_transformers(hub, name):
    theirs, ours = both(name, num_labels=3)
    for key, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[key], value.numpy()), key


@pytest.mark.parametrize("name", ["tiny-bert", "distilbert-base-uncased", "minilm"])
def test_transformers_loads_what_is_saved(hub, tmp_path, name):
    ours = AutoModelForSequenceClassification.from_pretrained(
        name, id2label={0: "different", 1: "same"}
    )
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info.values()), info
    inputs = batch(name, 0, 8)
    assert (theirs.eval()(**inputs).logits - ours(**inputs).logits).abs().max() < 1e-5
    assert theirs.config.id2label == {0: "different", 1: "same"}
    assert type(theirs).__name__ == type(ours).__name__


def test_what_transformers_saves_is_loaded(hub, tmp_path):
    theirs, _ = both("tiny-bert", num_labels=3, **no_dropout("tiny-bert"))
    theirs.save_pretrained(tmp_path)
    ours = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert ours.config.num_labels == 3
    assert ours.config.hidden_dropout_prob == 0.0
    inputs = batch("tiny-bert", 0, 8)
    inputs.pop("labels")
    assert (theirs(**inputs).logits - ours(**inputs).logits).abs().max() < 1e-5


def test_a_loop_by_hand_takes_the_same_steps(hub):
    from ftcore import AdamW, get_scheduler

    theirs, ours = both("tiny-bert", **no_dropout("tiny-bert"))
    optimizers = [
        torch.optim.AdamW(theirs.parameters(), lr=5e-5),
        AdamW(ours.parameters(), lr=5e-5),
    ]
    schedules = [
        transformers.get_scheduler("linear", optimizers[0], 0, 5),
        get_scheduler("linear", optimizers[1], 0, 5),
    ]
    losses = []
    for model, optimizer, schedule in zip((theirs, ours), optimizers, schedules, strict=True):
        model.train()
        losses.append([])
        for step in range(5):
            loss = model(**batch("tiny-bert", 8 * step, 8)).loss
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses[-1].append(loss.item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
