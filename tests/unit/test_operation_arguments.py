"""What a backend's operations refuse: operands of a wrong type, shape or value, by name."""

import numpy as np
import pytest

from ftcore import _core


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


def boundaries(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def wrong_calls():
    f = np.zeros((4, 6), np.float32)
    i, cu = np.zeros(4, np.int32), boundaries([4])
    vector = np.zeros(6, np.float32)
    yield "linear_forward", (f, np.zeros((3, 5), np.float32), vector), ValueError, "weight"
    yield "linear_forward", (f, f, vector), ValueError, r"bias must have the shape \[4\]"
    yield "linear_forward", (f.astype(np.float64), f, vector), TypeError, "x must be an array of"
    yield "linear_forward", ([[1.0]], f, vector), TypeError, "x must be a NumPy array"
    yield "linear_forward", (f.T, f, vector), ValueError, "x must be C-contiguous"
    yield "linear_forward", (f, f, vector[:4].copy(), "swish"), ValueError, "activation"
    yield "linear_backward", (f[:, :4].copy(), f, f, "gelu"), TypeError, "kept"
    yield (
        "linear_backward",
        (f[:, :4].copy(), f, f, "none", None, True, None, True),
        ValueError,
        ("accumulate=True needs into="),
    )
    yield "attention_forward", (f, f, f, cu, 4), ValueError, "heads must divide"
    yield "attention_forward", (f, f, f, boundaries([5]), 2), ValueError, "only 4 rows"
    yield "attention_forward", (f, f, f, boundaries([2, 0]), 2), ValueError, "1 to 65536 rows"
    yield "attention_forward", (f, f, f, cu, 2, np.array([4], np.int32)), ValueError, "key_starts"
    yield "attention_forward", (f, f, f, cu, 2, None, True), ValueError, r"q must have the shape"
    yield "attention_forward", (f, f[:, ::-1], f, cu, 2), ValueError, "k must have contiguous rows"
    yield (
        "embedding_forward",
        (i + 4, i, i, f, f, f, vector, vector, 1e-12),
        IndexError,
        (r"input_ids\[0\] is 4, but the table has 4 rows"),
    )
    yield "embedding_forward", (i - 1, i, i, f, f, f, vector, vector, 1e-12), IndexError, "is -1"
    yield "embedding_forward", (i, i, i, f, f, f, vector, vector, 1e-12, 3), ValueError, "tokens"
    yield "residual_norm_forward", (f, f, vector, vector, 1e-12, 5), ValueError, "tokens is 5"
    yield "dropout", (vector, (1.0, 0, 0, 0, 0)), ValueError, r"p must be in \[0, 1\)"
    yield "dropout", (vector, 0.1), TypeError, "dropout must be"
    yield "loss", (f, i.astype(np.int64) + 6, "single_label_classification"), IndexError, "labels"
    yield "loss", (f, vector, "regression"), ValueError, "labels must have the shape"
    yield "loss", (f, f, "ranking"), ValueError, "problem must be"
    yield "sum_of_squares", (f, np.zeros(3, np.uint8)), ValueError, "flags"
    yield "supports", ("half",), ValueError, "precision must be 'float32', 'bfloat16' or 'float16'"
    embedding = (i, i, i, f, f, f, vector, vector, 1e-12, 4, None)
    yield "embedding_forward", (*embedding, "half"), ValueError, "precision must be .* got 'half'"
    h, half = f.astype(np.uint16), vector.astype(np.uint16)
    yield "linear_forward", (h, f, vector[:4].copy()), TypeError, "weight must be .* uint16, got"
    yield "linear_forward", (f, h, vector[:4].copy()), TypeError, "weight must be .* float32, got"
    yield "linear_forward", (h, h, half[:4].copy()), TypeError, "bias must be an array of float32"
    yield "linear_backward", (f[:, :4].copy(), h, h), TypeError, "dy must be an array of uint16"
    yield (
        "linear_backward",
        (h[:, :4].copy(), h, h, "none", None, True, h),
        TypeError,
        "add_to_dx must be an array of float32",
    )
    yield "attention_forward", (h, h, f, cu, 2), TypeError, "v must be an array of uint16"
    yield "residual_norm_forward", (h, h, vector, vector, 1e-12), TypeError, "residual must be"
    ones = np.ones(4, np.float32)
    yield "residual_norm_backward", (h, h, ones, ones, vector), TypeError, "dy must be an array of"
    yield (
        "adamw",
        (vector, vector, vector, vector, 0, 0, 0, 0, 0, 1, 1.0, None, vector),
        TypeError,
        "shadow must be an array of uint16",
    )
    yield (
        "adamw",
        (vector, vector, vector, vector, 0, 0, 0, 0, 0, 1, 1.0, None, half[:5].copy()),
        ValueError,
        "shadow has 5 elements",
    )
    yield (
        "adamw",
        (vector, vector, vector[:5].copy(), vector, 0, 0, 0, 0, 0, 1),
        ValueError,
        ("moment1 has 5 elements"),
    )
    yield "adamw", (vector, vector, vector, vector, 0, 0, 0, 0, 0, 0), ValueError, "step counts"


@pytest.mark.parametrize(
    "method,arguments,exception,message",
    list(wrong_calls()),
    ids=[f"{call[0]}-{i}" for i, call in enumerate(wrong_calls())],
)
def test_wrong_operands_raise(reference, method, arguments, exception, message):
    with pytest.raises(exception, match=message):
        getattr(reference, method)(*arguments)


def test_what_is_read_only_is_not_written_to(reference):
    x = np.ones(4, np.float32)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="x is written to but is read-only"):
        reference.zero_rows(x)
