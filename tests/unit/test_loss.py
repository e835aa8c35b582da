"""The loss where torch is not used counts as a number."""

import copy
import math
import pickle

import numpy as np
import pytest


@pytest.fixture
def loss(small_model, small_batch):
    return small_model(**small_batch).loss


def test_adds_up_to_floats(loss):
    value = loss.item()
    total = 0.0
    total += loss
    assert type(total) is float and total == value
    assert sum([loss, loss]) == loss + loss == 2 * value
    assert (loss - 1, 1 - loss, 1 / loss) == (value - 1, 1 - value, 1 / value)
    assert (abs(-loss), loss * loss, loss / loss) == (value, value * value, 1.0)
    with pytest.raises(TypeError):
        loss + "1"


def test_compares_and_rounds(loss):
    value = loss.item()
    assert loss < 100 and loss <= value and loss > 0 and loss >= value and loss == value
    assert min(loss, 1e9) is loss
    assert loss != value + 1 and loss != "loss"
    assert round(loss, 2) == round(value, 2)
    assert math.isfinite(loss)


def test_goes_through_numpy(loss):
    value = loss.item()
    assert np.mean([loss]) == np.mean([loss, loss]) == pytest.approx(value)
    assert np.isfinite(loss)
    assert loss.detach() == loss.detach().item() == value


def test_scaled_by_a_numpy_number_it_still_goes_back(small_model, small_batch):
    small_model(**small_batch).loss.backward()
    once = small_model.core.gradient(0).copy()
    small_model.zero_grad()
    (np.float64(0.5) * small_model(**small_batch).loss / np.float32(0.25)).backward()
    np.testing.assert_allclose(small_model.core.gradient(0), 2 * once, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copied_model_is_equal_and_its_own(small_model, small_batch, copied):
    before = small_model(**small_batch).logits.copy()
    twin = copied(small_model.train())
    assert type(twin) is type(small_model) and twin.training and twin.config == small_model.config
    np.testing.assert_array_equal(twin.eval()(**small_batch).logits, before)
    for parameter in twin.parameters():
        parameter.data[...] = 0
    twin.config.problem_type = "regression"
    np.testing.assert_array_equal(small_model.eval()(**small_batch).logits, before)
    assert small_model.config.problem_type == "single_label_classification"


def test_a_copied_model_drops_out_as_the_first_would_have(small_config, small_batch):
    from ftcore import BertForSequenceClassification

    small_config.hidden_dropout_prob = 0.5
    model = BertForSequenceClassification(small_config)
    model(**small_batch)
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(model(**small_batch).logits, twin(**small_batch).logits)
