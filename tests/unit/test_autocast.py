"""torch.autocast around a call of the model, as loops written for Hugging Face have it."""

import copy

import numpy as np
import pytest
import torch

from ftcore import (
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    _core,
    set_seed,
)


@pytest.fixture
def tensors(small_batch) -> dict:
    """The small batch as torch tensors."""
    if not _core.Backend("auto").supports("bfloat16"):
        pytest.skip("this processor does not take bfloat16")
    return {name: torch.tensor(value) for name, value in small_batch.items()}


def test_a_call_under_autocast_is_one_in_bfloat16(small_model, tensors):
    small_model.core.precision = "bfloat16"
    expected = small_model(**tensors).logits
    small_model.core.precision = "float32"
    exact = small_model(**tensors).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = small_model(**tensors).logits
    assert torch.equal(got, expected) and not torch.equal(got, exact)


def test_backward_comes_after_the_block_and_the_next_call_is_in_float32(small_model, tensors):
    exact = small_model(**tensors).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = small_model(**tensors).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in small_model.parameters())
    assert torch.equal(small_model(**tensors).logits, exact)
    assert small_model.core.precision == "float32"


def test_autocast_that_is_switched_off_changes_nothing(small_model, tensors):
    exact = small_model(**tensors).logits
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        assert torch.equal(small_model(**tensors).logits, exact)


def test_autocast_to_float16_is_refused(small_model, tensors):
    with (
        torch.autocast("cpu", dtype=torch.float16),
        pytest.raises(ValueError, match=r"torch\.float16 is not supported: use torch\.bfloat16"),
    ):
        small_model(**tensors)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("event", ["on_step_end", "on_substep_end", "on_prediction_step"])
def test_trainer_keeps_its_precision_whatever_callbacks_run_the_model_in(
    small_model, tensors, tmp_path, event, bf16
):
    rows = [{"input_ids": [2, 5 + i, 3], "labels": i % 2} for i in range(16)]
    inputs = {name: value for name, value in tensors.items() if name != "labels"}

    def call(model):
        with torch.no_grad():
            model(**inputs)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                model(**inputs)

    def trained(model, listener):
        callback = type("Listens", (TrainerCallback,), {event: listener})
        args = TrainingArguments(
            tmp_path,
            bf16=bf16,
            max_steps=3,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            eval_strategy="steps",
            eval_steps=1,
            disable_tqdm=True,
            save_strategy="no",
        )
        trainer = Trainer(model, args, None, rows, rows, callbacks=[callback])
        trainer.train()
        losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
        return losses, model.state_dict()

    other = copy.deepcopy(small_model)
    call(other)
    losses, weights = trained(small_model, lambda *args, **kwargs: None)
    found_losses, found = trained(other, lambda *args, model, **kwargs: call(model))
    assert found_losses == losses
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    assert other.core.precision == "float32"


def test_trainer_under_autocast_is_one_in_bfloat16(tmp_path, small_config):
    if not _core.Backend("auto").supports("bfloat16"):
        pytest.skip("this processor does not take bfloat16")
    rows = [{"input_ids": [2, 5 + i, 3], "label": i % 2} for i in range(8)]

    def weights(**options) -> torch.Tensor:
        set_seed(0)
        model = BertForSequenceClassification(small_config)
        arguments = TrainingArguments(
            str(tmp_path), num_train_epochs=1, save_strategy="no", disable_tqdm=True, **options
        )
        Trainer(model, arguments, train_dataset=rows).train()
        return torch.cat([parameter.torch().flatten() for parameter in model.parameters()])

    expected, exact = weights(bf16=True), weights()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = weights()
    assert torch.equal(got, expected) and not torch.equal(got, exact)
