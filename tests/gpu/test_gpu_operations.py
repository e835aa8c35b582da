"""Every operation on a GPU is the reference's, one by one, in every precision."""

import numpy as np
import pytest
import torch
from operations_support import (
    DROPOUT,
    EPS,
    HYPER,
    attention_inputs,
    boundaries,
    embedding_inputs,
    flags_of,
    linear_inputs,
    norm_inputs,
    normal,
)

from ftcore import _core, devices

pytestmark = pytest.mark.gpu

# (tokens, rows, width, heads): one that fills no block, and one of many.
SIZES = {"small": (13, 24, 64, 2), "large": (201, 208, 384, 6)}
TOLERANCE = {"float32": 2e-5, "bfloat16": 2.0**-6, "float16": 2.0**-9}
"""Of the largest entry: two units of the last place, as sums that differ may be rounded apart."""
reference = _core.Backend("reference")


@pytest.fixture(scope="module")
def cuda():
    devices.find_libraries()
    return _core.Backend(devices.resolve_device("cuda"))


class Case:
    """Operands of one size and precision, the same for every backend."""

    def __init__(self, size, precision):
        self.rng = np.random.default_rng(31)
        self.tokens, self.rows, self.width, self.heads = SIZES[size]
        self.precision = precision
        # Sequences whose lengths add up to the tokens.
        cuts = sorted(self.rng.choice(np.arange(1, self.tokens), 6, replace=False).tolist())
        self.lengths = np.diff([0, *cuts, self.tokens])
        self.cu = boundaries(self.lengths)

    def cast(self, x):
        """x in the case's precision, keeping its strides' order."""
        if self.precision == "float32":
            return x
        flat = np.ascontiguousarray(x).reshape(-1)
        return reference.cast(flat, self.precision).reshape(x.shape)

    # Each gives a function of a backend that returns arrays to compare.

    def embedding(self):
        inputs = embedding_inputs(self.rng, self.tokens, self.width, 2)
        ids = {k: inputs[k] for k in ("input_ids", "position_ids", "token_type_ids")}
        dout = normal(self.rng, self.rows, self.width)
        tables = (inputs[name] for name in ("word", "position", "type", "gamma", "beta"))
        into = tuple(normal(self.rng, *table.shape) for table in tables)

        def call(backend):
            forward = backend.embedding_forward(
                **inputs,
                eps=EPS,
                rows=self.rows,
                dropout=DROPOUT,
                precision=self.precision,
                stream=True,
            )
            out, total, mean, rstd, stream = forward
            back = backend.embedding_backward(
                dout,
                **ids,
                sum=total,
                mean=mean,
                rstd=rstd,
                gamma=inputs["gamma"],
                into=into,
                padding_id=0,
                accumulate=True,
                dropout=DROPOUT,
            )
            used = slice(0, self.tokens)
            return [out, stream, mean[used], rstd[used], back[0][used], *back[1:]]

        return call

    def linear(self, activation):
        x, weight, bias, dy = linear_inputs(self.rng, self.rows, self.width, 2 * self.width)
        x, weight, dy = self.cast(x), self.cast(weight), self.cast(dy)
        kept = {"none": None, "gelu": dy, "tanh": self.cast(np.tanh(normal(self.rng, *dy.shape)))}
        kept["relu"] = kept["gelu"]
        add_to = normal(self.rng, self.rows, self.width)
        into = (normal(self.rng, *weight.shape), normal(self.rng, *bias.shape))

        def call(backend):
            y, z = backend.linear_forward(x, weight, bias, activation)
            back = [
                *backend.linear_backward(dy, x, weight, activation, kept[activation]),
                *backend.linear_backward(
                    dy, x, weight, activation, kept[activation], True, add_to, True, into
                ),
            ]
            return [y, z, *back]

        return call

    def attention(self, first_only, late_keys, dropout):
        q, k, v, cu, dout = attention_inputs(
            self.rng,
            self.lengths,
            self.rows,
            self.heads,
            self.width // self.heads,
            first_only,
        )
        q, k, v = (self.strided(x) for x in (q, k, v))
        dout = self.cast(dout)
        starts = self.cu[:-1] + (self.lengths > 1) if late_keys else self.cu[:-1]
        options = {
            "key_starts": starts.astype(np.int32),
            "first_only": first_only,
            "dropout": dropout,
        }
        rows = len(self.lengths) if first_only else self.tokens

        def call(backend):
            out, state = backend.attention_forward(q, k, v, cu, self.heads, **options)
            dq, dk, dv = backend.attention_backward(
                dout, q, k, v, state, cu, self.heads, **options, out=out
            )
            return [out[:rows], dq[:rows], dk[: self.tokens], dv[: self.tokens]]

        return call

    def strided(self, x):
        """Columns of a wider matrix, as they were given, in the case's precision."""
        stride = x.strides[0] // x.itemsize
        whole = np.zeros((len(x), stride), self.cast(np.zeros(1, np.float32)).dtype)
        whole[:, : x.shape[1]] = self.cast(x)
        return whole[:, : x.shape[1]]

    def norm(self, in_place):
        x, residual, gamma, beta, dy = norm_inputs(self.rng, self.rows, self.width)
        x = self.cast(x)

        def call(backend):
            y, total, mean, rstd, stream = backend.residual_norm_forward(
                x, residual, gamma, beta, EPS, self.tokens, DROPOUT, stream=True
            )
            kept = reference.residual_norm_forward(
                x, residual, gamma, beta, EPS, self.tokens, DROPOUT
            )
            dy_ = dy.copy()
            dy_[self.tokens :] = 0
            back = backend.residual_norm_backward(
                dy_, *kept[1:4], gamma, self.tokens, DROPOUT, in_place=in_place
            )
            used = slice(0, self.tokens)
            return [y, stream, total[used], mean[used], rstd[used], *back]

        return call

    def first_rows(self):
        x = self.cast(normal(self.rng, self.rows, self.width))
        dfirst = normal(self.rng, len(self.lengths), self.width)
        start = normal(self.rng, self.rows, self.width)

        def call(backend):
            dx = start.copy()
            backend.first_rows_scatter(dfirst, dx, self.cu)
            return [backend.first_rows_gather(x, self.cu), dx]

        return call

    def loss(self, problem):
        logits = normal(self.rng, 9, 3, scale=5)
        if problem == "single_label_classification":
            labels = self.rng.integers(0, 3, 9)
            labels[2] = -100
        else:
            labels = self.rng.random((9, 3), np.float32)

        def call(backend):
            value, dlogits = backend.loss(logits, labels, problem)
            return [np.array([value]), dlogits]

        return call

    def passes(self):
        count = self.rows * self.width
        x, y = normal(self.rng, count), normal(self.rng, count)

        def call(backend):
            dropped, scaled = x.copy(), x.copy()
            backend.dropout(dropped, DROPOUT)
            backend.scale_add(scaled, 0.5, y)
            return [dropped, scaled]

        return call

    def sums(self):
        x, flags = normal(self.rng, self.rows, self.width), flags_of(self.rng, self.rows, "random")

        def call(backend):
            zeroed = x.copy()
            backend.zero_rows(zeroed, flags)
            sums = [backend.sum_of_squares(x, flags), backend.sum_of_squares(x.reshape(-1))]
            clips = [
                backend.clip(np.array(sums), norm, scale)
                for norm, scale in ((1.0, 1.0), (0.0, 4.0), (1e9, 1.0))
            ]
            lost = backend.clip(np.array([np.inf, 1.0]), 1.0)[1]
            return [zeroed, np.array(sums), np.array(clips), np.array([np.isnan(lost)])]

        return call

    def adamw(self, flagged):
        shape = (self.rows, self.width)
        p, g, m, v = (normal(self.rng, *shape) for _ in range(4))
        flags = flags_of(self.rng, self.rows, "random") if flagged else None
        if flagged:
            g, m, v = (x * flags[:, None] for x in (g, m, v))
        else:
            p, g, m, v = (x.reshape(-1) for x in (p, g, m, v))
        wants_shadow = self.precision != "float32" and not flagged

        def call(backend):
            own = [p.copy(), m.copy(), v**2]
            shadow = self.cast(np.zeros_like(p)) if wants_shadow else None
            backend.adamw(
                own[0], g, own[1], own[2], **HYPER, step=3, scale=0.5, flags=flags, shadow=shadow
            )
            untouched = [x.copy() for x in own]
            backend.adamw(
                untouched[0], g, *untouched[1:], **HYPER, step=4, scale=np.nan, flags=flags
            )
            for one, other in zip(own, untouched, strict=True):
                np.testing.assert_array_equal(one, other)
            return [*own, shadow]

        return call

    def cast_all(self):
        x = normal(self.rng, self.rows * self.width, scale=100)
        x[:4] = np.nan, np.inf, -np.inf, 1e30

        def call(backend):
            return [backend.cast(x, self.precision)]

        return call


CASES = {
    "embedding": Case.embedding,
    **{f"linear-{a}": lambda c, a=a: c.linear(a) for a in ("none", "gelu", "tanh", "relu")},
    "attention": lambda c: c.attention(False, False, None),
    "attention-late-keys": lambda c: c.attention(False, True, None),
    "attention-first-row": lambda c: c.attention(True, False, None),
    "norm": lambda c: c.norm(False),
    "norm-in-place": lambda c: c.norm(True),
    "first-rows": Case.first_rows,
    "adamw": lambda c: c.adamw(False),
    "adamw-flagged": lambda c: c.adamw(True),
}
FLOAT32_CASES = {
    "passes": Case.passes,
    "sums": Case.sums,
    "attention-dropout": lambda c: c.attention(False, False, DROPOUT),
    "loss-single": lambda c: c.loss("single_label_classification"),
    "loss-several": lambda c: c.loss("multi_label_classification"),
    "loss-regression": lambda c: c.loss("regression"),
}


def as_float(x):
    """What an array holds; uint16 are bfloat16."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def assert_alike(got, want, tolerance):
    assert len(got) == len(want)
    for number, (g, w) in enumerate(zip(got, want, strict=True)):
        assert (g is None) == (w is None)
        if w is None:
            continue
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        g, w = as_float(g), as_float(w)
        allowed = tolerance * np.abs(w).max(initial=0)
        assert np.isfinite(g).all(), f"result {number} is not finite"
        worst = np.abs(g - w).max(initial=0)
        assert worst <= allowed, f"result {number}: off by {worst:.3g}, allowed {allowed:.3g}"


@pytest.mark.parametrize("precision", list(TOLERANCE))
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("name", list(CASES))
def test_an_operation_is_the_references(cuda, name, size, precision):
    if not cuda.supports(precision):
        pytest.skip(f"this GPU is not used in {precision}")
    call = CASES[name](Case(size, precision))
    assert_alike(call(cuda), call(reference), TOLERANCE[precision])


@pytest.mark.parametrize("rows,width,out", [(208, 384, 768), (4096, 768, 768)])
def test_products_of_float32_are_exact_and_in_tf32_as_near_as_torchs(cuda, rows, width, out):
    rng = np.random.default_rng(32)
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    wide = [operand.astype(np.float64) for operand in (x, weight, bias, dy)]
    exact = [wide[0] @ wide[1].T + wide[2], wide[3] @ wide[1], wide[3].T @ wide[0]]

    def errors(found):
        pairs = zip(found, exact, strict=True)
        return np.array([np.linalg.norm(f - e) / np.linalg.norm(e) for f, e in pairs])

    def products(tf32):
        y, _ = cuda.linear_forward(x, weight, bias, tf32=tf32)
        _, dx, dweight, _ = cuda.linear_backward(dy, x, weight, tf32=tf32)
        return errors([y, dx, dweight])

    assert (products(False) < 1e-5).all()  # TensorFloat-32's are some 3e-4
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("needs torch for CUDA, and a GPU with TensorFloat-32")
    there = [torch.from_numpy(operand).cuda() for operand in (x, weight, bias, dy)]
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        theirs = [there[0] @ there[1].T + there[2], there[3] @ there[1], there[3].T @ there[0]]
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert (products(True) <= 1.5 * errors([t.double().cpu().numpy() for t in theirs])).all()


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("name", list(FLOAT32_CASES))
def test_an_operation_on_float32_alone_is_the_references(cuda, name, size):
    call = FLOAT32_CASES[name](Case(size, "float32"))
    assert_alike(call(cuda), call(reference), TOLERANCE["float32"])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_rounding_is_the_references_bit_for_bit(cuda, precision):
    if not cuda.supports(precision):
        pytest.skip(f"this GPU is not used in {precision}")
    call = Case("large", precision).cast_all()
    (got,), (want,) = call(cuda), call(reference)
    nan = np.isnan(as_float(want))
    np.testing.assert_array_equal(np.isnan(as_float(got)), nan)
    np.testing.assert_array_equal(got[~nan], want[~nan])


@pytest.mark.parametrize("precision", list(TOLERANCE))
@pytest.mark.parametrize("name", list(CASES))
def test_an_operation_gives_the_same_bits_again(cuda, name, precision):
    if not cuda.supports(precision):
        pytest.skip(f"this GPU is not used in {precision}")
    call = CASES[name](Case("large", precision))
    for one, other in zip(call(cuda), call(cuda), strict=True):
        if one is not None:
            np.testing.assert_array_equal(one, other)
