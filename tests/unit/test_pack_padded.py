"""Packing a padded batch: which tokens are kept, where they lie, and what is refused."""

import numpy as np
import pytest

from ftcore._core import Batch, pack_padded


def test_packs_rows_end_to_end():
    batch = pack_padded(
        [[5, 6, 7, 0], [8, 9, 0, 0]],
        [[1, 1, 1, 0], [1, 1, 0, 0]],
        [[0, 0, 1, 0], [0, 1, 0, 0]],
        labels=[1, 0],
    )
    assert (batch.sequences, batch.tokens, batch.max_length) == (2, 5, 3)
    assert batch.input_ids.tolist() == [5, 6, 7, 8, 9]
    assert batch.token_type_ids.tolist() == [0, 0, 1, 0, 1]
    assert batch.position_ids.tolist() == [0, 1, 2, 0, 1]
    assert batch.cu_seqlens.tolist() == [0, 3, 5]
    assert batch.key_starts is None
    assert batch.labels.tolist() == [1, 0]


def test_types_of_the_arrays():
    batch = pack_padded([[1, 2]], labels=[3])
    for array in (batch.input_ids, batch.token_type_ids, batch.position_ids, batch.cu_seqlens):
        assert array.dtype == np.int32
    assert batch.labels.dtype == np.int64
    assert repr(batch) == "Batch(sequences=1, tokens=2, max_length=2)"


def test_without_a_mask_every_token_is_kept():
    batch = pack_padded([[1, 0, 2], [0, 0, 0]])
    assert batch.input_ids.tolist() == [1, 0, 2, 0, 0, 0]
    assert batch.token_type_ids.tolist() == [0] * 6
    assert batch.labels is None


def test_a_kept_token_has_its_column_as_position():
    batch = pack_padded([[5, 6, 7, 8]], [[1, 0, 0, 1]])
    assert batch.input_ids.tolist() == [5, 8]
    assert batch.position_ids.tolist() == [0, 3]


def test_the_first_token_is_kept_but_no_key_where_it_is_masked():
    batch = pack_padded([[0, 0, 5, 6], [1, 2, 3, 4]], [[0, 0, 1, 1], [1, 1, 1, 1]])
    assert batch.input_ids.tolist() == [0, 5, 6, 1, 2, 3, 4]
    assert batch.position_ids.tolist() == [0, 2, 3, 0, 1, 2, 3]
    assert batch.cu_seqlens.tolist() == [0, 3, 7]
    assert batch.key_starts.tolist() == [1, 3]


def test_given_positions_are_packed_with_their_tokens():
    mask = [[1, 0, 1], [1, 1, 0]]
    both = pack_padded([[1, 2, 3], [4, 5, 6]], mask, position_ids=[[7, 8, 9], [3, 2, 1]])
    assert both.position_ids.tolist() == [7, 9, 3, 2]
    shared = pack_padded([[1, 2, 3], [4, 5, 6]], mask, position_ids=[[7, 8, 9]])
    assert shared.position_ids.tolist() == [7, 9, 7, 8]


@pytest.mark.parametrize("seed", range(20))
def test_any_mask_pattern(seed):
    random = np.random.default_rng(seed)
    rows, length = random.integers(1, 6), random.integers(1, 9)
    ids, types = random.integers(0, 1000, (2, rows, length))
    mask = random.integers(0, 2, (rows, length))
    mask[np.arange(rows), random.integers(0, length, rows)] = 1
    batch = pack_padded(ids, mask, types)
    kept = mask.astype(bool)
    kept[:, 0] = True
    assert batch.input_ids.tolist() == ids[kept].tolist()
    assert batch.token_type_ids.tolist() == types[kept].tolist()
    assert batch.position_ids.tolist() == np.nonzero(kept)[1].tolist()
    assert np.diff(batch.cu_seqlens).tolist() == kept.sum(1).tolist()
    assert batch.max_length == kept.sum(1).max()
    starts = batch.cu_seqlens[:-1] if batch.key_starts is None else batch.key_starts
    assert (starts - batch.cu_seqlens[:-1]).tolist() == (1 - mask[:, 0]).tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64"])
def test_integers_of_any_type(dtype):
    ids = np.array([[1, 2], [3, 4]], dtype)
    batch = pack_padded(ids, np.ones((2, 2), dtype), ids, ids, ids[:, 0])
    assert batch.input_ids.tolist() == batch.position_ids.tolist() == [1, 2, 3, 4]
    assert batch.labels.tolist() == [1, 3]


@pytest.mark.parametrize("dtype", ["bool", "float32", "float16", "float64", "int8"])
def test_masks_of_any_type(dtype):
    batch = pack_padded([[1, 2, 3]], np.array([[1, 0, 1]], dtype))
    assert batch.input_ids.tolist() == [1, 3]


def test_arrays_that_are_not_contiguous():
    ids = np.arange(24).reshape(4, 6)
    assert pack_padded(ids.T[::2, ::-1]).input_ids.tolist() == ids.T[::2, ::-1].ravel().tolist()


def test_tensors():
    torch = pytest.importorskip("torch")
    ids = torch.tensor([[1, 2], [3, 4]])
    batch = pack_padded(
        ids, torch.tensor([[True, False], [True, True]]), labels=torch.tensor([1, 0])
    )
    assert batch.input_ids.tolist() == [1, 3, 4]
    assert batch.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 0], [1, 0]),
        ([[1], [0]], [1, 0]),
        ([True, False], [1, 0]),
        (np.array([1, 0], np.uint8), [1, 0]),
        ([-100, 1], [-100, 1]),
    ],
)
def test_integer_labels_are_classes(labels, expected):
    batch = pack_padded([[1], [2]], labels=labels)
    assert batch.labels.dtype == np.int64
    assert batch.labels.tolist() == expected


def test_float_labels_are_targets():
    assert pack_padded([[1], [2]], labels=[0.5, 2.0]).labels.tolist() == [[0.5], [2.0]]
    wide = pack_padded([[1], [2]], labels=[[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    assert wide.labels.dtype == np.float32
    assert wide.labels.tolist() == [[0, 1, 1], [1, 0, 1]]


def test_views_are_read_only_and_outlive_the_batch():
    batch = pack_padded([[1, 2, 3]], labels=[1])
    ids, labels = batch.input_ids, batch.labels
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 4
    del batch
    assert ids.tolist() == [1, 2, 3]
    assert labels.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(input_ids=[1, 2]), ValueError, r"input_ids must be \[batch, length\]"),
        (dict(input_ids=[[[1]]]), ValueError, "has 3 dimensions"),
        (dict(input_ids=[[1, 2], [3]]), ValueError, "input_ids cannot be read"),
        (dict(input_ids=[[1.5]]), TypeError, "input_ids must hold integers.*float64"),
        (dict(input_ids=[["a"]]), TypeError, "input_ids must hold integers"),
        (dict(input_ids=None), TypeError, "input_ids must hold integers"),
        (dict(input_ids=[[None]]), TypeError, "input_ids must hold integers"),
        (dict(input_ids=[[True]]), TypeError, "input_ids must hold integers"),
        (dict(input_ids=np.zeros((0, 3), int)), ValueError, "the batch is empty"),
        (dict(input_ids=np.zeros((3, 0), int)), ValueError, "rows of the batch are empty"),
        (dict(input_ids=[[1], [2**31]]), ValueError, "row 1 of input_ids holds 2147483648"),
        (dict(input_ids=[[-(2**31) - 1]]), ValueError, "does not fit in 32 bits"),
        (dict(input_ids=[[2**63]]), ValueError, "does not fit in 64 signed bits"),
        (dict(input_ids=[[2**64]]), TypeError, "input_ids must hold integers.*object"),
        (dict(attention_mask=[[1]]), ValueError, r"attention_mask must have the shape.*\(1, 1\)"),
        (dict(attention_mask=[1, 1]), ValueError, "attention_mask must have the shape"),
        (dict(attention_mask=[[1, 2]]), ValueError, "row 0 holds 2 in column 1"),
        (dict(attention_mask=[[1, 0.5]]), ValueError, "holds 0.5"),
        (dict(attention_mask=[[1, float("nan")]]), ValueError, "holds nan"),
        (dict(attention_mask=[[0, 0]]), ValueError, "row 0 of attention_mask is all 0"),
        (dict(attention_mask=[["1", "1"]]), TypeError, "attention_mask must hold 0 and 1"),
        (dict(token_type_ids=[[0]]), ValueError, "token_type_ids must have the shape"),
        (dict(token_type_ids=[[0, 2**40]]), ValueError, "row 0 of token_type_ids"),
        (dict(position_ids=[[0]]), ValueError, "position_ids must have the shape"),
        (dict(position_ids=[0, 1]), ValueError, "position_ids must have the shape"),
        (dict(position_ids=[[0, 2**40]]), ValueError, "row 0 of position_ids"),
        (dict(labels=[1, 2]), ValueError, "labels must be one integer a row"),
        (dict(labels=[[1, 0]]), ValueError, "several floats, for multi-label"),
        (dict(labels=[1.0, 2.0]), ValueError, "labels must be"),
        (dict(labels=np.zeros((1, 0))), ValueError, "labels must be"),
        (dict(labels=["a"]), TypeError, "labels must hold integers or floats"),
        (dict(labels=np.array([2**63], np.uint64)), ValueError, "does not fit in 64 signed bits"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pack_padded(**({"input_ids": [[1, 2]]} | arguments))


def test_a_batch_is_not_made_by_hand():
    with pytest.raises(TypeError, match="cannot create"):
        Batch()
