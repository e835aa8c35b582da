"""A core's memory: arrays copied in, another core's state, DLPack, and results taken later."""

import gc

import numpy as np
import pytest
import torch
from support import (
    ADAMW,
    core_config,
    core_model,
    gradients,
    make_batch,
    pack,
    parameters,
    torch_model,
)

from ftcore import AdamW, BertForSequenceClassification, _core

QUERY = "bert.encoder.layer.0.attention.self.query.weight"


@pytest.fixture
def core():
    return core_model(torch_model("bert", 3), "reference")


def group_of(core):
    return np.zeros(len(core.parameters()), np.int32)


def train(core, steps, first=1, **options):
    return [
        core.train_step(
            [pack(make_batch(seed=step))], 1.0, 0, [ADAMW], group_of(core), step, 1.0, **options
        )
        for step in range(first, first + steps)
    ]


def index_of(core, wanted):
    return [name for name, _, _ in core.parameters()].index(wanted)


def assert_equal_state(one, other):
    for i in range(len(one.parameters())):
        np.testing.assert_array_equal(one.parameter(i), other.parameter(i))
        for a, b in zip(one.moments(i), other.moments(i), strict=True):
            np.testing.assert_array_equal(a, b)


# Copies in


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_parameter_takes_numbers_of_any_type_and_layout(core, dtype):
    shape = core.parameter(0).shape
    values = np.arange(shape[0] * shape[1]).reshape(shape[1], shape[0]).T.astype(dtype)
    core.set_parameter(0, values)
    np.testing.assert_array_equal(core.parameter(0), values.astype(np.float32))


def test_other_shapes_and_indices_are_refused(core):
    for values in (np.zeros(3), np.zeros((24, 100)), 1.0):
        with pytest.raises(ValueError, match="word_embeddings.*another shape"):
            core.set_parameter(0, values)
    with pytest.raises(ValueError, match="another shape"):
        core.set_moments(0, core.parameter(0), np.zeros(3))
    with pytest.raises(IndexError, match="parameter 999"):
        core.set_gradient(999, np.zeros(3))


def test_a_parameter_that_is_set_reaches_the_16_bit_copies(core):
    core.precision = "bfloat16"
    batch = pack(make_batch())
    before = core.forward(batch)[1]
    index = index_of(core, QUERY)
    core.set_parameter(index, 2 * core.parameter(index))
    gc.collect()
    assert not np.array_equal(core.forward(batch)[1], before)


def test_moments_that_are_set_continue_a_run(core):
    train(core, 2)
    resumed = core_model(torch_model("bert", 3), "reference")
    for i in range(len(core.parameters())):
        resumed.set_parameter(i, core.parameter(i))
        resumed.set_moments(i, *core.moments(i))
    assert train(resumed, 2, first=3) == train(core, 2, first=3)
    assert_equal_state(resumed, core)


def test_a_word_gradient_that_is_set_is_applied_and_cleared(core):
    core.forward(pack(make_batch()), keep=True)
    core.backward()
    core.set_gradient(0, np.ones_like(core.parameter(0)))
    before = core.parameter(0).copy()
    core.update([(0.5, 0.9, 0.999, 1e-8, 0.0)], group_of(core), 1)
    np.testing.assert_allclose(core.parameter(0), before - 0.5, atol=1e-6)

    core.zero_gradients()
    plain = core_model(torch_model("bert", 3), "reference")
    plain.copy_state(core)
    for each in (core, plain):
        each.forward(pack(make_batch()), keep=True)
        each.backward()
    np.testing.assert_array_equal(
        gradients(core)["bert.embeddings.word_embeddings.weight"],
        gradients(plain)["bert.embeddings.word_embeddings.weight"],
    )


def test_cleared_gradients_are_zeros_that_the_next_backward_adds_to(core):
    core.clear_gradients()
    assert not core.has_gradients
    core.forward(pack(make_batch()), keep=True)
    core.backward()
    expected = {name: gradient.copy() for name, gradient in gradients(core).items()}
    core.clear_gradients()
    assert core.has_gradients and core.gradient_norm() == 0
    core.forward(pack(make_batch()), keep=True)
    core.backward()
    for name, gradient in gradients(core).items():
        np.testing.assert_array_equal(gradient, expected[name])


def test_zeroed_moments(core):
    core.zero_moments(0)  # there are none yet
    train(core, 1)
    core.zero_moments(0)
    assert not np.any(core.moments(0)) and np.any(core.moments(1))


# Another core's state


def test_a_core_takes_over_the_state_of_another(core):
    train(core, 2)
    core.forward(pack(make_batch()), keep=True)
    core.backward()
    core.problem_type = "multi_label_classification"
    core.precision = "bfloat16"
    other = _core.Model(core_config(torch_model("bert", 3).config), "reference")
    other.copy_state(core)
    assert_equal_state(other, core)
    assert other.problem_type == core.problem_type and other.precision == "bfloat16"
    for name, gradient in gradients(other).items():
        np.testing.assert_array_equal(gradient, gradients(core)[name])
    core.problem_type = other.problem_type = "single_label_classification"
    assert train(other, 2, first=3) == train(core, 2, first=3)


def test_results_that_are_to_be_taken_move_along(core):
    train(core, 2, wait=False)
    expected = train(core_model(torch_model("bert", 3), "reference"), 2)
    other = _core.Model(core_config(torch_model("bert", 3).config), "reference")
    other.copy_state(core)
    assert core.take_results()[:2] == (0, 0)
    losses, steps, norm = other.take_results()
    assert losses == pytest.approx(sum(loss for loss, _ in expected))
    assert (steps, norm) == (2, expected[-1][1])


def test_state_that_does_not_fit_is_refused(core):
    other = core_model(torch_model("bert", 2), "reference")
    with pytest.raises(ValueError, match="another configuration"):
        other.copy_state(core)
    with pytest.raises(TypeError, match="expected a Model"):
        other.copy_state(3)
    with pytest.raises(RuntimeError, match="one call at a time"):
        core.copy_state(core)


@pytest.mark.onednn
def test_a_precision_that_the_device_lacks_is_refused(core):
    core.precision = "float16"
    other = core_model(torch_model("bert", 3), "cpu")
    with pytest.raises(ValueError, match="float16 is for GPUs"):
        other.copy_state(core)


# DLPack


def test_parameters_are_shared_by_dlpack(small_model):
    parameter = next(small_model.parameters())
    assert parameter.__dlpack_device__() == (1, 0)
    for shared in (torch.from_dlpack(parameter), torch.utils.dlpack.from_dlpack(parameter)):
        shared.mul_(2)
        np.testing.assert_array_equal(shared.numpy(), parameter.data)
    np.from_dlpack(parameter)[0, 0] = 7
    assert parameter.data[0, 0] == 7
    for options in ({"copy": True}, {"dl_device": (2, 0)}):
        with pytest.raises(BufferError, match="word_embeddings"):
            parameter.__dlpack__(**options)


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0)])
def test_what_dlpack_shares_outlives_its_model_and_reaches_the_16_bit_copies(core, version):
    core.precision = "bfloat16"
    index, batch = index_of(core, QUERY), pack(make_batch())
    before = core.forward(batch)[1]
    capsule = core.parameter_dlpack(index, None, version)
    assert ("dltensor_versioned" in repr(capsule)) == (version == (1, 0))
    shared = torch.from_dlpack(capsule)
    expected = 2 * core.parameter(index)
    shared.mul_(2)
    assert not np.array_equal(core.forward(batch)[1], before)
    del core
    gc.collect()
    np.testing.assert_array_equal(shared.numpy(), expected)


def test_a_capsule_that_nobody_takes_is_let_go(core):
    del core
    core = core_model(torch_model("bert", 3), "reference")
    for version in (None, (1, 0)):
        core.parameter_dlpack(0, 1, version)
    with pytest.raises(IndexError, match="parameter 999"):
        core.parameter_dlpack(999)


# Results taken later


def test_steps_that_are_not_waited_for_give_the_same_results(core):
    other = core_model(torch_model("bert", 3), "reference")
    expected = train(core, 3)
    assert core.take_results() == pytest.approx((0.0, 0, np.nan), nan_ok=True)
    assert train(other, 3, wait=False) == [None] * 3
    with pytest.raises(RuntimeError, match="take_results"):
        train(other, 1)
    losses, steps, norm = other.take_results()
    assert losses == sum(loss for loss, _ in expected) and steps == 3 and norm == expected[-1][1]
    assert_equal_state(other, core)
    assert train(other, 1, first=4) == train(core, 1, first=4)


def test_a_step_that_fails_adds_nothing_to_the_results(core):
    train(core, 2, wait=False)
    index = len(core.parameters()) - 2
    good = core.parameter(index).copy()
    core.set_parameter(index, good * np.float32(np.nan))
    with pytest.raises(FloatingPointError, match="the loss is nan at step 3"):
        train(core, 1, first=3, wait=False)
    core.set_parameter(index, good)
    assert core.take_results()[1] == 2


# The Python layer


def test_an_optimizer_made_later_starts_from_zero(small_model, small_batch):
    AdamW(small_model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer = AdamW(small_model.parameters(), lr=0.1)
        before = next(small_model.parameters()).data.copy()
        small_model(**small_batch).loss.backward()
        optimizer.step()
        assert np.abs(next(small_model.parameters()).data - before).max() < 0.11


def test_a_gradient_may_be_assigned(small_model, small_batch):
    parameter = next(small_model.parameters())
    with pytest.raises(RuntimeError, match="has no gradient"):
        parameter.grad = np.zeros(parameter.shape)
    small_model(**small_batch).loss.backward()
    parameter.grad = torch.full(parameter.shape, 2.0)
    assert (parameter.grad == 2).all()
    with pytest.raises(ValueError, match="has shape"):
        parameter.grad = np.zeros(3)
    assert isinstance(small_model, BertForSequenceClassification)
    assert parameters(small_model.core) and parameter.device == small_model.device
