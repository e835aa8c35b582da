"""Padded batches packed where they lie: the reference as the collator does, kernels as it."""

import numpy as np
import pytest
from cuda_support import ORDERS

from ftcore import _core

LIMITS = (50, 600, 2, 3)


@pytest.fixture(params=["reference", *ORDERS])
def backend(request):
    """The reference, and the mock GPU with its threads in either order."""
    if request.param == "reference":
        return _core.Backend("reference")
    return request.getfixturevalue("gpu")("A100", request.param)


def boundaries(lengths):
    return np.concatenate(([0], np.cumsum(np.abs(lengths)))).astype(np.int32)


def make(rng, rows, length):
    mask = rng.integers(0, 2, (rows, length))
    mask[np.arange(rows), rng.integers(0, length, rows)] = 1
    return {
        "input_ids": rng.integers(0, 50, (rows, length)),
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, 2, (rows, length)),
        "position_ids": rng.integers(0, 600, (rows, length)),
    }


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (5, 7), (3, 255), (2, 256), (4, 513)])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, "views"])
@pytest.mark.parametrize("left_out", [[], ["position_ids"], ["attention_mask", "token_type_ids"]])
def test_tokens_are_the_collator_s(backend, rows, length, dtype, left_out):
    arrays = make(np.random.default_rng(rows), rows, length)
    if dtype == np.uint8:
        arrays["position_ids"] %= 256
    arrays = {name: value for name, value in arrays.items() if name not in left_out}
    batch = _core.pack_padded(**arrays)
    if dtype == "views":
        arrays = {name: np.repeat(value, 3, 1)[:, ::3] for name, value in arrays.items()}
        if "attention_mask" in arrays:
            arrays["attention_mask"] = np.ascontiguousarray(arrays["attention_mask"].T > 0).T
    else:
        arrays = {name: value.astype(dtype) for name, value in arrays.items()}
    lengths = backend.padded_lengths(**arrays, limits=LIMITS)
    starts = batch.cu_seqlens[:-1] if batch.key_starts is None else batch.key_starts
    np.testing.assert_array_equal(boundaries(lengths), batch.cu_seqlens)
    np.testing.assert_array_equal(lengths < 0, starts > batch.cu_seqlens[:-1])
    *tokens, labels = backend.pack(**arrays, limits=LIMITS, cu_seqlens=batch.cu_seqlens)
    want = (batch.input_ids, batch.token_type_ids, batch.position_ids)
    for one, other in zip(tokens, want, strict=True):
        np.testing.assert_array_equal(one, other)
    assert labels is None


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[2], [-100], [0], [1]]),
        np.array([[2], [0], [0], [1]], np.uint8),
        np.linspace(-1, 1, 12).reshape(4, 3),
        np.linspace(-1, 1, 12).reshape(4, 3).astype(np.float32),
        np.arange(12).reshape(4, 3) + (1 << 40),
        np.eye(4, 3) > 0,
    ],
    ids=["classes", "bytes", "doubles", "floats", "integers", "booleans"],
)
def test_labels(backend, labels):
    ids = np.ones((4, 5), np.int64)
    classes = labels.shape[1] == 1
    given = {"labels": labels, "class_labels": classes, "limits": LIMITS}
    lengths = backend.padded_lengths(ids, **given)
    np.testing.assert_array_equal(lengths, [5] * 4)
    got = backend.pack(ids, **given, cu_seqlens=boundaries(lengths))[3]
    want = labels.ravel().astype(np.int64) if classes else labels.astype(np.float32)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("input_ids", [50, -1, 1 << 40]),
        ("token_type_ids", [2, -1]),
        ("position_ids", [600, -1]),
        ("attention_mask", [2, -1, 1 << 32]),
        ("labels", [3, -1, -101]),
    ],
)
@pytest.mark.parametrize("column", [0, 290])
def test_rows_with_something_wrong_are_told(backend, name, values, column):
    rng = np.random.default_rng(5)
    for value in values:
        arrays = make(rng, 4, 300) | {"labels": rng.integers(0, 3, (4, 1))}
        arrays["attention_mask"][:, column] = 1
        arrays[name][2, 0 if name == "labels" else column] = value
        lengths = backend.padded_lengths(**arrays, limits=LIMITS)
        np.testing.assert_array_equal(lengths == 0, [False, False, True, False])


def test_a_row_without_a_one_is_wrong(backend):
    mask = np.zeros((2, 40), np.int64)
    mask[0, 39] = 1
    lengths = backend.padded_lengths(np.ones((2, 40), np.int64), mask, limits=LIMITS)
    np.testing.assert_array_equal(lengths, [-2, 0])


def test_values_where_nothing_is_kept_do_not_matter_but_for_types(backend):
    arrays = make(np.random.default_rng(6), 3, 20)
    arrays["attention_mask"][:, 11:] = 0
    arrays["attention_mask"][:, 1] = 1
    arrays["input_ids"][:, 12] = -100
    arrays["position_ids"][:, 12] = -100
    assert backend.padded_lengths(**arrays, limits=LIMITS).all()
    arrays["token_type_ids"][1, 12] = 2
    assert list(backend.padded_lengths(**arrays, limits=LIMITS) == 0) == [False, True, False]


@pytest.mark.parametrize("lengths", [[3, 9, 4], [6, 1, 2]])
def test_what_changes_in_between_leaves_nothing_out_of_range(backend, lengths):
    """More tokens than were counted, or fewer, and other values."""
    arrays = make(np.random.default_rng(7), 3, 8) | {"labels": np.array([[9], [1], [-9]])}
    arrays["input_ids"][...] = 50
    arrays["token_type_ids"][...] = arrays["position_ids"][...] = -7
    got = backend.pack(**arrays, limits=LIMITS, cu_seqlens=boundaries(lengths))
    for tokens in got[:3]:
        np.testing.assert_array_equal(tokens, np.zeros(sum(lengths), np.int32))
    np.testing.assert_array_equal(got[3], [-100, 1, -100])
