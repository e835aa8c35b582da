"""A model that takes the time of its operations computes what one that does not computes."""

import numpy as np
import pytest

import ftcore
from ftcore import _core
from ftcore.bench import limit

BACKENDS = ["reference", pytest.param("cpu", marks=pytest.mark.onednn)]
LENGTHS = [20, 12]  # 32 tokens: no row of padding
STEP = (1.0, 7, [(1e-3, 0.9, 0.999, 1e-8, 0.01)])


def config():
    return ftcore.BertConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=32,
    ).core()


def batch():
    rng = np.random.default_rng(0)
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    ids = rng.integers(1, 50, mask.shape)
    return _core.pack_padded(ids, mask.astype(np.int64), None, None, np.array([0, 1]))


def trained(backend, **options):
    """A model after two steps."""
    model = _core.Model(config(), backend, 1, **options)
    parameters = model.parameters()
    rng = np.random.default_rng(1)
    for index, (_, shape, _) in enumerate(parameters):
        model.parameter(index)[...] = rng.standard_normal(shape, np.float32) / 5
    for step in (1, 2):
        model.train_step([batch()], *STEP, np.zeros(len(parameters), np.int32), step)
    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_are_bitwise_those_of_a_model_without_a_profile(backend):
    plain, profiled = trained(backend), trained(backend, profile=True)
    assert profiled.backend == plain.backend == backend
    for index in range(len(plain.parameters())):
        np.testing.assert_array_equal(plain.parameter(index), profiled.parameter(index))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_call_is_counted_under_its_operation_and_shape(backend):
    calls = {
        (name, shape): calls for name, shape, calls, _ in trained(backend, profile=True).profile()
    }
    assert calls["attention_forward", ()] == calls["attention_backward", ()] == 2 * 3
    assert calls["residual_norm_forward", ()] == 2 * 6
    assert calls["linear_forward", (32, 24, 72)] == 2 * 2  # the last layer has two products for it
    assert calls["linear_backward", (2, 40, 24)] == 2
    assert calls["loss", ()] == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_shapes_are_those_of_the_limit(backend):
    shapes = [
        shape
        for name, shape, calls, _ in trained(backend, profile=True).profile()
        for _ in range(calls)
        if name == "linear_forward"
    ]
    assert sorted(shapes) == sorted(2 * limit.step_products(config(), 32, 2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_seconds_are_positive_and_less_than_those_of_the_steps(backend):
    import time

    start = time.perf_counter()
    entries = trained(backend, profile=True).profile()
    passed = time.perf_counter() - start
    assert all(seconds >= 0 for *_, seconds in entries)
    assert 0 < sum(seconds for *_, seconds in entries) < passed


def test_threads_are_those_of_the_backend_beneath():
    model = _core.Model(config(), profile=True)
    model.threads = 1
    assert model.threads == 1


def test_a_failure_of_an_operation_comes_through():
    model = _core.Model(config(), profile=True)
    with pytest.raises(ValueError, match="threads"):
        model.threads = 0


def test_without_a_profile_there_is_nothing_to_show():
    with pytest.raises(RuntimeError, match="without profile=True"):
        _core.Model(config()).profile()
