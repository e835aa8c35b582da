"""The CUDA backend's operations but products and attention, on the mock GPU, against the reference
backend on the same inputs.

What is written in 16 bits may differ from the reference's by one unit of the last place: sums in
float32 have another order."""

import math

import numpy as np
import pytest
from cuda_support import ORDERS
from operations_support import (
    DROPOUT,
    EPS,
    HYPER,
    assert_all_close,
    assert_close,
    boundaries,
    embedding_inputs,
    flags_of,
    norm_inputs,
    normal,
)

from ftcore import _core

PRECISIONS = ("float32", "bfloat16", "float16")


@pytest.fixture(params=ORDERS)
def cuda(request, mock_driver):
    """The CUDA backend; threads run in either order where CUDA leaves it open."""
    mock_driver.set_order(request.param)
    return _core.Backend("cuda")


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


@pytest.fixture
def rng():
    return np.random.default_rng(22)


def rounded(backend, x, precision):
    """x as an operand of that precision."""
    if precision == "float32":
        return x
    return backend.cast(x.ravel(), precision).reshape(x.shape)


def assert_operands_close(got, want, tolerance=4e-6):
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype == np.float32:
        return assert_close(got, want, tolerance)
    bits = 10
    if got.dtype == np.uint16:
        bits = 7
        got, want = ((x.astype(np.uint32) << 16).view(np.float32) for x in (got, want))
    got, want = got.astype(np.float64), want.astype(np.float64)
    largest = np.abs(want).max(initial=0)
    assert (np.abs(got - want) <= 2.0**-bits * np.abs(want) + tolerance * largest).all()
    assert (got != want).sum() <= 0.02 * got.size


# ------------------------------------------------------------------------------ the embedding


def embedding_both(backend, inputs, gradient, rows, precision, **options):
    """What forward gives for all rows, and what backward does for those of tokens."""
    tokens = len(inputs["input_ids"])
    dropout = options["dropout"]
    out, total, mean, rstd, stream = backend.embedding_forward(
        **inputs, eps=EPS, rows=rows, dropout=dropout, precision=precision, stream=True
    )
    ids = {k: inputs[k] for k in ("input_ids", "position_ids", "token_type_ids")}
    dout, into = gradient
    dsum, *back = backend.embedding_backward(
        dout, **ids, sum=total, mean=mean, rstd=rstd, gamma=inputs["gamma"], into=into, **options
    )
    return out, (total, mean[:tokens], rstd[:tokens], stream), (dsum[:tokens], *back)


def embedding_gradient(rng, inputs, rows):
    names = ("word", "position", "type", "gamma", "beta")
    tables = (inputs[name] for name in names)
    into = tuple(None if t is None else normal(rng, *t.shape) for t in tables)
    return normal(rng, rows, inputs["word"].shape[1]), into


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("accumulate,dropout", [(False, None), (True, DROPOUT)])
@pytest.mark.parametrize(
    "tokens,rows,hidden,types",
    [
        (0, 8, 12, 2),
        (1, 1, 5, 2),
        (37, 64, 30, 0),
        (37, 64, 28, 1),
        (41, 64, 132, 3),
        (70, 96, 768, 2),
        (9, 16, 1024, 2),
        (9, 16, 1028, 2),
    ],
)
def test_embedding(
    cuda, reference, rng, tokens, rows, hidden, types, accumulate, dropout, precision
):
    inputs = embedding_inputs(rng, tokens, hidden, types)
    gradient = embedding_gradient(rng, inputs, rows)
    options = {"padding_id": 3, "accumulate": accumulate, "dropout": dropout}
    got = embedding_both(cuda, inputs, gradient, rows, precision, **options)
    want = embedding_both(reference, inputs, gradient, rows, precision, **options)
    assert_operands_close(got[0], want[0])
    assert_all_close(got[1], want[1], 4e-6)
    assert_all_close(got[2], want[2], 6e-6)


def test_the_embedding_of_many_tokens_adds_to_its_tables_in_the_order_of_rows(cuda, reference, rng):
    """Some ids are of thousands of tokens, as [SEP]'s is, and of tokens far apart."""
    tokens, hidden = 2600, 4
    inputs = embedding_inputs(rng, tokens, hidden, 2)
    inputs["input_ids"][:1300] = 7
    inputs["input_ids"][[1, 1100, 2599]] = 49
    inputs["position_ids"] = (np.arange(tokens) % 40).astype(np.int32)
    gradient = embedding_gradient(rng, inputs, tokens)
    total, mean = np.zeros((tokens, hidden), np.float32), np.zeros(tokens, np.float32)
    ids = {k: inputs[k] for k in ("input_ids", "position_ids", "token_type_ids")}
    backward = {
        backend: backend.embedding_backward(
            gradient[0],
            **ids,
            sum=total,
            mean=mean,
            rstd=mean + 1,
            gamma=inputs["gamma"],
            into=gradient[1],
        )
        for backend in (cuda, reference)
    }
    dsum, flags, dword, dposition, dtype, *_ = backward[cuda]
    np.testing.assert_array_equal(flags, backward[reference][1])
    in_order = [table.copy() for table in gradient[1][:2]]
    for token in range(tokens):
        in_order[0][inputs["input_ids"][token]] += dsum[token]
        in_order[1][inputs["position_ids"][token]] += dsum[token]
    np.testing.assert_array_equal(dword, in_order[0])
    np.testing.assert_array_equal(dposition, in_order[1])
    assert_close(dtype, backward[reference][4], 1e-5)


# ------------------------------------------------------------------------------ residual + norm


def norm_both(backend, inputs, tokens, dropout, **options):
    """(y, sum, dx), (mean, rstd, stream), (dresidual, dgamma, dbeta)"""
    x, residual, gamma, beta, dy = inputs
    y, total, mean, rstd, stream = backend.residual_norm_forward(
        x, residual, gamma, beta, EPS, tokens, dropout, stream=True
    )
    dresidual, dx, *back = backend.residual_norm_backward(
        dy, total, mean, rstd, gamma, tokens, dropout, **options
    )
    return (y, total[:tokens], dx), (mean[:tokens], rstd[:tokens], stream), (dresidual, *back)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "in_place,accumulate,dropout", [(False, True, None), (True, False, DROPOUT)]
)
@pytest.mark.parametrize(
    "rows,tokens,hidden",
    [
        (0, 0, 16),
        (8, 0, 5),
        (1, 1, 3),
        (40, 33, 30),
        (40, 33, 28),
        (64, 64, 384),
        (96, 75, 768),
        (16, 15, 1024),
        (16, 15, 1028),
    ],
)
def test_residual_norm(
    cuda, reference, rng, rows, tokens, hidden, in_place, accumulate, dropout, precision
):
    x, *others = norm_inputs(rng, rows, hidden)
    inputs = (rounded(reference, x, precision), *others)
    options = {
        "in_place": in_place,
        "accumulate": accumulate,
        "into": (normal(rng, hidden), normal(rng, hidden)),
    }
    got = norm_both(cuda, inputs, tokens, dropout, **options)
    want = norm_both(reference, inputs, tokens, dropout, **options)
    for one, other in zip(got[0], want[0], strict=True):
        assert_operands_close(one, other)
    assert_all_close(got[1], want[1], 4e-6)
    assert_all_close(got[2], want[2], 1e-5 if precision == "float32" else 1e-3)


@pytest.mark.parametrize("hidden", [30, 64])
def test_a_mean_far_from_zero_does_not_spoil_the_variance(cuda, rng, hidden):
    x, residual, gamma, beta, _ = norm_inputs(rng, 8, hidden)
    residual += 1000
    rstd = cuda.residual_norm_forward(x, residual, gamma, beta, EPS)[3]
    total = x.astype(np.float64) + residual
    assert_close(rstd, 1 / total.std(1), 1e-4)


def test_gradients_are_overwritten_without_being_read(cuda, rng):
    x, residual, gamma, beta, dy = norm_inputs(rng, 24, 32)
    _, total, mean, rstd, _ = cuda.residual_norm_forward(x, residual, gamma, beta, EPS)
    nan = (np.full(32, np.nan, np.float32), np.full(32, np.nan, np.float32))
    got = cuda.residual_norm_backward(dy, total, mean, rstd, gamma, into=nan)
    want = cuda.residual_norm_backward(dy, total, mean, rstd, gamma)
    assert_all_close(got, want, 0)


# ------------------------------------------------------------------------------ rows and losses


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hidden", [7, 300])
def test_first_rows_are_gathered_and_scattered(cuda, reference, rng, hidden, precision):
    x, cu = normal(rng, 20, hidden), boundaries([4, 9, 5])
    operand = rounded(reference, x, precision)
    np.testing.assert_array_equal(cuda.first_rows_gather(operand, cu), operand[cu[:-1]])
    first, want = normal(rng, 3, hidden), x.copy()
    cuda.first_rows_scatter(first, x, cu)
    want[cu[:-1]] += first
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("sequences,labels", [(1, 1), (6, 3), (45, 2), (3, 70), (40, 40)])
@pytest.mark.parametrize("scale", [3, 60])
def test_losses(cuda, reference, rng, sequences, labels, scale):
    logits = normal(rng, sequences, labels, scale=scale)
    classes = rng.integers(0, labels, sequences)
    classes[1::3] = -100
    targets = rng.random((sequences, labels), np.float32)
    for operands in (
        (classes, "single_label_classification"),
        (targets, "regression"),
        (targets, "multi_label_classification"),
    ):
        loss, dlogits = cuda.loss(logits, *operands)
        want, dwant = reference.loss(logits, *operands)
        assert loss == pytest.approx(want, rel=1e-6)
        assert_close(dlogits, dwant)


def test_the_loss_of_nothing_but_ignored_labels(cuda):
    loss, dlogits = cuda.loss(
        np.ones((3, 2), np.float32), np.full(3, -100), "single_label_classification"
    )
    assert math.isnan(loss) and not dlogits.any()


# ------------------------------------------------------------------------------ flat passes

COUNTS = [0, 1, 3, 4, 31, 33, 1000, 7001]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.999])
def test_dropout(cuda, reference, rng, count, p):
    got = normal(rng, count)
    want = got.copy()
    for backend, x in ((cuda, got), (reference, want)):
        backend.dropout(x, (p, *DROPOUT[1:]))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("count", COUNTS)
def test_scale_add(cuda, rng, count):
    x, y = normal(rng, count), normal(rng, count)
    for other in (None, y):
        got = x.copy()
        cuda.scale_add(got, 0.3, other)
        want = np.float32(0.3) * x + (0 if other is None else y)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("count", COUNTS)
def test_scale_by(cuda, reference, rng, count):
    x, y, scale = normal(rng, count), normal(rng, count), normal(rng, 1)
    for other in (None, y):
        got, want = x.copy(), x.copy()
        cuda.scale_by(got, scale, other)
        reference.scale_add(want, float(scale[0]), other)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("count", COUNTS)
def test_cast(cuda, reference, rng, count, precision):
    x = normal(rng, count, scale=1e4)
    x[1::5] *= 1e-10
    x[2::7] = np.inf
    x[3::11] = np.nan
    np.testing.assert_array_equal(cuda.cast(x, precision), reference.cast(x, precision))


@pytest.mark.parametrize("count", [*COUNTS, 70_001])
def test_sum_of_squares_is_accumulated_in_float64(cuda, rng, count):
    x = normal(rng, count)
    exact = math.fsum((x.astype(np.float64) ** 2).tolist())
    assert cuda.sum_of_squares(x) == pytest.approx(exact, rel=1e-12)


KINDS = ["random", "none", "all", "ends"]
TABLES = [(50, 7), (50, 8), (300, 129), (300, 132)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows,width", TABLES)
def test_flagged_rows_alone_count(cuda, rng, rows, width, kind):
    x, flags = normal(rng, rows, width), flags_of(rng, rows, kind)
    want = (x[flags > 0].astype(np.float64) ** 2).sum()
    assert cuda.sum_of_squares(x, flags) == pytest.approx(want, rel=1e-12)
    zeroed = x.copy()
    cuda.zero_rows(zeroed, flags)
    np.testing.assert_array_equal(zeroed, np.where(flags[:, None] > 0, 0, x))


@pytest.mark.parametrize("count", COUNTS)
def test_flags_are_added(cuda, reference, rng, count):
    flags, into = (rng.integers(0, 2, count, np.uint8) for _ in range(2))
    for backend in (cuda, reference):
        got = into.copy()
        backend.add_flags(flags, got)
        np.testing.assert_array_equal(got, into | flags)


def test_zero_rows_without_flags_zeroes_all(cuda, rng):
    x = normal(rng, 4001)
    cuda.zero_rows(x)
    assert not x.any()


@pytest.mark.parametrize("loss_scale", [1.0, 1024.0])
@pytest.mark.parametrize("max_norm", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("count", [1, 2, 32, 77])
def test_clip(cuda, reference, rng, count, max_norm, loss_scale):
    squares = rng.random(count) * 1e5
    got = cuda.clip(squares, max_norm, loss_scale)
    assert got == pytest.approx(reference.clip(squares, max_norm, loss_scale), rel=1e-6)


@pytest.mark.parametrize("square", [np.inf, np.nan, 1e300])
@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_clip_says_so_where_there_is_no_norm(cuda, reference, square, max_norm):
    squares = np.array([1.0, square])
    got, want = cuda.clip(squares, max_norm), reference.clip(squares, max_norm)
    np.testing.assert_array_equal(got, want)
    assert math.isnan(got[1])


# ------------------------------------------------------------------------------ AdamW


def adamw(backend, tensors, gradient, shadow, **options):
    parameter, moment1, moment2 = (t.copy() for t in tensors)
    shadow = None if shadow is None else shadow.copy()
    backend.adamw(parameter, gradient, moment1, moment2, shadow=shadow, step=3, **options)
    return (parameter, moment1, moment2), shadow


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "shape,kind",
    [((n,), None) for n in (1, 4, 37, 1024, 9003)] + [(t, k) for t in TABLES for k in KINDS],
)
def test_adamw(cuda, reference, rng, shape, kind, precision, decay):
    flags = flags_of(rng, shape[0], kind) if kind else None
    lives = flags[:, None].astype(np.float32) if kind else 1
    tensors = (normal(rng, *shape), normal(rng, *shape) * lives, normal(rng, *shape) ** 2 * lives)
    gradient = normal(rng, *shape) * lives
    shadow = None if precision == "float32" else rounded(reference, tensors[0], precision)
    options = HYPER | {"weight_decay": decay, "scale": 0.7, "flags": flags}
    got, shadowed = adamw(cuda, tensors, gradient, shadow, **options)
    want, _ = adamw(reference, tensors, gradient, shadow, **options)
    assert_all_close(got, want, 1e-6)
    if shadow is not None:
        np.testing.assert_array_equal(shadowed, rounded(reference, got[0], precision))
    if kind:
        alike, _ = adamw(cuda, tensors, gradient, shadow, **options | {"flags": flags | 1})
        assert_all_close(got, alike, 0)


@pytest.mark.parametrize("flagged", [False, True])
def test_adamw_changes_nothing_where_the_scale_is_nan(cuda, rng, flagged):
    tensors = tuple(normal(rng, 40, 8) for _ in range(3))
    shadow, flags = np.zeros((40, 8), np.uint16), flags_of(rng, 40, "random")
    got, shadowed = adamw(
        cuda,
        tensors,
        normal(rng, 40, 8),
        shadow,
        **HYPER,
        scale=math.nan,
        flags=flags if flagged else np.ones(40, np.uint8),
    )
    assert_all_close(got, tensors, 0)
    assert not shadowed.any()


# ------------------------------------------------------------------------------ repeatability


def test_the_order_of_threads_does_not_change_a_bit(mock_driver, rng):
    inputs = embedding_inputs(rng, 300, 64, 2)
    gradient = embedding_gradient(rng, inputs, 320)
    norm = norm_inputs(rng, 300, 64)
    x, options = normal(rng, 9000), {"dropout": DROPOUT, "padding_id": -1}
    runs = []
    for order in ORDERS:
        mock_driver.set_order(order)
        backend = _core.Backend("cuda")
        runs.append(
            (
                *embedding_both(backend, inputs, gradient, 320, "float32", **options)[2],
                *norm_both(backend, norm, 290, DROPOUT)[2],
                np.array(backend.sum_of_squares(x)),
                np.array(backend.loss(norm[0], norm[1], "regression")[0]),
            )
        )
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
