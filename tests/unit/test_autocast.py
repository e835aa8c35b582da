"""torch.autocast around a call of the model, as loops written for Hugging Face have it."""

import pytest
import torch

from ftcore import _core


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
