"""Every backend's operations, one by one: the reference against formulas in float64 with torch's
autograd, the CPU backend against the reference on the same inputs."""

import math
import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from operations_support import (
    ACTIVATIONS,
    CPU_BACKENDS,
    DROPOUT,
    EPS,
    HYPER,
    assert_all_close,
    assert_close,
    attention_inputs,
    attention_of_torch,
    boundaries,
    cpu_backend,
    cpu_name,
    double,
    embedding_inputs,
    flags_of,
    has_cpu,
    linear_inputs,
    mask,
    needs_cpu,
    norm_inputs,
    normal,
)

from ftcore import _core


@pytest.fixture(scope="module")
def reference():
    return _core.Backend("reference")


@pytest.fixture(scope="module", params=CPU_BACKENDS, ids=cpu_name)
def cpu(request):
    """The CPU backend on several numbers of threads, and on each instruction set."""
    return cpu_backend(*request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


# ------------------------------------------------------------------------------ dropout


def test_dropout_keeps_what_philox_says(reference):
    x = np.ones(1003, np.float32)
    reference.dropout(x, DROPOUT)
    np.testing.assert_allclose(x, mask(DROPOUT, 1003), rtol=1e-6)
    assert 0.85 < (x > 0).mean() < 0.95


@pytest.mark.parametrize("count", [1, 3, 4, 31, 32, 33, 1000, 70001])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999])
def test_dropout_of_the_cpu_backend_is_the_references(cpu, reference, rng, count, p):
    want = normal(rng, count)
    got = want.copy()
    dropout = (p, *DROPOUT[1:])
    cpu.dropout(got, dropout)
    reference.dropout(want, dropout)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("change", [1, 2, 3, 4])
def test_each_field_of_a_dropout_changes_its_mask(cpu, change):
    other = list(DROPOUT)
    other[change] += 1
    x, y = np.ones(4096, np.float32), np.ones(4096, np.float32)
    cpu.dropout(x, DROPOUT)
    cpu.dropout(y, tuple(other))
    assert (x != y).mean() > 0.1


# ------------------------------------------------------------------------------ embedding


def embedding_gradient_inputs(rng, inputs, rows):
    hidden = inputs["word"].shape[1]
    dout = normal(rng, rows, hidden)
    into = tuple(
        None if table is None else normal(rng, *table.shape)
        for table in (inputs[name] for name in ("word", "position", "type", "gamma", "beta"))
    )
    return dout, into


def embedding_both(backend, inputs, dout, into, rows, dropout, padding_id, accumulate):
    tokens = len(inputs["input_ids"])
    out, total, mean, rstd, _ = backend.embedding_forward(
        **inputs, eps=EPS, rows=rows, dropout=dropout
    )
    ids = {k: inputs[k] for k in ("input_ids", "position_ids", "token_type_ids")}
    back = backend.embedding_backward(
        dout,
        **ids,
        sum=total,
        mean=mean,
        rstd=rstd,
        gamma=inputs["gamma"],
        into=into,
        padding_id=padding_id,
        accumulate=accumulate,
        dropout=dropout,
    )
    return (out, total[:tokens], mean[:tokens], rstd[:tokens]), (back[0][:tokens], *back[1:])


@pytest.mark.parametrize("types", [0, 2])
def test_embedding_is_the_norm_of_the_sum(reference, rng, types):
    tokens, rows, hidden = 13, 16, 12
    inputs = embedding_inputs(rng, tokens, hidden, types)
    dout, into = embedding_gradient_inputs(rng, inputs, rows)
    forward, backward = embedding_both(
        reference, inputs, dout, into, rows, DROPOUT, padding_id=0, accumulate=True
    )

    tables = {k: double(inputs[k]) for k in ("word", "position", "gamma", "beta")}
    word = F.embedding(torch.tensor(inputs["input_ids"]), tables["word"], padding_idx=0)
    x = word + F.embedding(torch.tensor(inputs["position_ids"]), tables["position"])
    if types:
        tables["type"] = double(inputs["type"])
        x = x + F.embedding(torch.tensor(inputs["token_type_ids"]), tables["type"])
    y = F.layer_norm(x, (hidden,), tables["gamma"], tables["beta"], EPS)
    y = y * torch.tensor(mask(DROPOUT, tokens, hidden))
    (y * torch.tensor(dout[:tokens])).sum().backward()

    assert_close(forward[0][:tokens], y.detach())
    assert not forward[0][tokens:].any()
    _, flags, dword, dposition, dtype, dgamma, dbeta = backward
    assert_close(dword - into[0], tables["word"].grad, 1e-5)
    assert_close(dposition - into[1], tables["position"].grad, 1e-5)
    assert_close(dgamma - into[3], tables["gamma"].grad, 1e-5)
    assert_close(dbeta - into[4], tables["beta"].grad, 1e-5)
    if types:
        assert_close(dtype - into[2], tables["type"].grad, 1e-5)
    seen = set(inputs["input_ids"].tolist()) - {0}
    assert set(np.flatnonzero(flags).tolist()) == seen


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "tokens,rows,hidden,types", [(1, 1, 5, 2), (37, 64, 30, 0), (97, 112, 768, 2)]
)
def test_embedding_on_cpu(cpu, reference, rng, tokens, rows, hidden, types, dropout, accumulate):
    inputs = embedding_inputs(rng, tokens, hidden, types)
    dout, into = embedding_gradient_inputs(rng, inputs, rows)
    got = embedding_both(cpu, inputs, dout, into, rows, dropout, 3, accumulate)
    want = embedding_both(reference, inputs, dout, into, rows, dropout, 3, accumulate)
    assert_all_close(got[0], want[0])
    assert_all_close(got[1], want[1], 4e-6)


# ------------------------------------------------------------------------------ linear


def linear_kept(activation, y, pre_activation):
    return {"none": None, "gelu": pre_activation}.get(activation, y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear_is_torchs(reference, rng, activation):
    x, weight, bias, dy = linear_inputs(rng, 9, 14, 11)
    y, kept = reference.linear_forward(x, weight, bias, activation)
    dpre, dx, dweight, dbias = reference.linear_backward(
        dy, x, weight, activation, linear_kept(activation, y, kept)
    )
    tx, tw, tb = double(x), double(weight), double(bias)
    pre = F.linear(tx, tw, tb)
    pre.retain_grad()
    want = ACTIVATIONS[activation](pre)
    (want * torch.tensor(dy)).sum().backward()
    assert_close(y, want.detach())
    if activation == "gelu":
        assert_close(kept, pre.detach())
    assert_close(dpre, pre.grad)
    assert_close(dx, tx.grad)
    assert_close(dweight, tw.grad)
    assert_close(dbias, tb.grad)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows,width,out", [(1, 1, 1), (8, 96, 2), (33, 50, 70), (416, 64, 257)])
def test_linear_on_cpu(cpu, reference, rng, rows, width, out, activation):
    x, weight, bias, dy = linear_inputs(rng, rows, width, out)
    got = cpu.linear_forward(x, weight, bias, activation)
    want = reference.linear_forward(x, weight, bias, activation)
    assert_all_close(got, want, 4e-6)
    kept = linear_kept(activation, *want)
    assert_all_close(
        cpu.linear_backward(dy, x, weight, activation, kept),
        reference.linear_backward(dy, x, weight, activation, kept),
        1e-5,
    )


def test_linear_of_evaluation_keeps_nothing_and_computes_the_same(cpu, rng):
    x, weight, bias, _ = linear_inputs(rng, 40, 32, 48)
    kept = cpu.linear_forward(x, weight, bias, "gelu")
    lost = cpu.linear_forward(x, weight, bias, "gelu", keep=False)
    assert lost[1] is None
    np.testing.assert_array_equal(kept[0], lost[0])


def test_linear_adds_to_gradients(cpu, reference, rng):
    x, weight, bias, dy = linear_inputs(rng, 24, 40, 56)
    into, dx = (normal(rng, 56, 40), normal(rng, 56)), normal(rng, 24, 40)
    options = {"add_to_dx": dx, "accumulate": True, "into": into}
    got = cpu.linear_backward(dy, x, weight, **options)
    assert_all_close(got, reference.linear_backward(dy, x, weight, **options), 4e-6)
    alone = cpu.linear_backward(dy, x, weight)
    assert_close(got[1], alone[1] + dx)
    assert_close(got[2], alone[2] + into[0])
    assert_close(got[3], alone[3] + into[1])


def test_linear_overwrites_gradients_without_reading_them(cpu, rng):
    x, weight, bias, dy = linear_inputs(rng, 24, 40, 56)
    nan = (np.full((56, 40), np.nan, np.float32), np.full(56, np.nan, np.float32))
    assert_all_close(
        cpu.linear_backward(dy, x, weight, into=nan), cpu.linear_backward(dy, x, weight), 0
    )


def test_linear_without_dx(cpu, rng):
    x, weight, bias, dy = linear_inputs(rng, 24, 40, 56)
    assert cpu.linear_backward(dy, x, weight, want_dx=False)[1] is None


def test_linear_of_no_rows_has_zero_gradients(cpu):
    x, weight = np.zeros((0, 8), np.float32), np.ones((4, 8), np.float32)
    y, _ = cpu.linear_forward(x, weight, np.ones(4, np.float32))
    assert y.shape == (0, 4)
    _, dx, dweight, dbias = cpu.linear_backward(y, x, weight)
    assert dx.shape == (0, 8)
    assert not dweight.any() and not dbias.any()


def test_gelu_is_exact_over_its_whole_range(cpu):
    x = np.linspace(-14, 14, 20001, dtype=np.float32)[:, None]
    one, zero = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    y, kept = cpu.linear_forward(x, one, zero, "gelu")
    slope, *_ = cpu.linear_backward(np.ones_like(x), x, one, "gelu", kept)
    t = double(x)
    want = F.gelu(t)
    want.sum().backward()
    assert np.abs(y - want.detach().numpy()).max() < 5e-7
    assert np.abs(slope - t.grad.numpy()).max() < 5e-7
    small = np.abs(x) < 5
    relative = np.abs(y - want.detach().numpy()) / np.maximum(np.abs(want.detach().numpy()), 1e-30)
    assert relative[small].max() < 3e-6


# ------------------------------------------------------------------------------ attention


def attention_both(backend, q, k, v, cu, dout, heads, **options):
    out, lse = backend.attention_forward(q, k, v, cu, heads, **options)
    owned = slice(None) if options.get("first_only") else slice(0, cu[-1])
    gradients = backend.attention_backward(dout, q, k, v, lse, cu, heads, **options)
    return (out, lse[:, owned], *gradients)


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
def test_attention_is_torchs(reference, rng, first_only, dropout):
    heads, head_dim, rows = 2, 6, 16
    q, k, v, cu, dout = attention_inputs(rng, [5, 1, 7], rows, heads, head_dim, first_only)
    starts = cu[:-1] + np.array([1, 0, 1], np.int32)
    got = attention_both(
        reference,
        q,
        k,
        v,
        cu,
        dout,
        heads,
        key_starts=starts,
        first_only=first_only,
        dropout=dropout,
    )
    want = attention_of_torch(q, k, v, cu, dout, heads, starts, first_only, dropout)
    for g, w in zip((got[0], *got[2:]), want, strict=True):
        assert_close(g, w, 4e-6)


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "lengths,rows,heads,head_dim",
    [
        ([1], 1, 1, 1),
        ([1, 2, 3, 15, 16, 17], 64, 3, 8),
        ([50, 59, 47, 67, 32], 256, 2, 64),
        ([31, 97], 128, 2, 32),
        ([24, 25, 48, 49], 160, 3, 17),
        ([512], 512, 1, 64),
        ([129, 257], 400, 2, 40),
    ],
)
@pytest.mark.parametrize("masked_first", [False, True])
def test_attention_on_cpu(
    cpu, reference, rng, lengths, rows, heads, head_dim, dropout, first_only, masked_first
):
    q, k, v, cu, dout = attention_inputs(rng, lengths, rows, heads, head_dim, first_only)
    starts = cu[:-1] + np.array([masked_first and n > 1 for n in lengths], np.int32)
    options = {"key_starts": starts, "first_only": first_only, "dropout": dropout}
    got = attention_both(cpu, q, k, v, cu, dout, heads, **options)
    want = attention_both(reference, q, k, v, cu, dout, heads, **options)
    largest = max(np.abs(w).max() for w in want[2:4])  # dq, dk are 0 but for rounding at length 1
    for g, w in zip(got[:2] + got[4:], want[:2] + want[4:], strict=True):
        assert_close(g, w, 4e-6)
    for g, w in zip(got[2:4], want[2:4], strict=True):
        assert np.abs(g - w).max() <= 1e-5 * max(largest, 1)


def test_attention_survives_scores_that_exp_would_not(cpu, reference, rng):
    q, k, v, cu, dout = attention_inputs(rng, [20, 40], 64, 2, 16, False)
    q *= 100
    got = attention_both(cpu, q, k, v, cu, dout, 2)
    want = attention_both(reference, q, k, v, cu, dout, 2)
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, 1e-4)


# ------------------------------------------------------------------------------ residual + norm


def norm_both(backend, inputs, tokens, dropout, **options):
    x, residual, gamma, beta, dy = inputs
    y, total, mean, rstd, _ = backend.residual_norm_forward(
        x, residual, gamma, beta, EPS, tokens, dropout
    )
    back = backend.residual_norm_backward(dy, total, mean, rstd, gamma, tokens, dropout, **options)
    return (y, total[:tokens], mean[:tokens], rstd[:tokens], *back)


def test_residual_norm_is_torchs(reference, rng):
    rows, tokens, hidden = 12, 9, 14
    inputs = norm_inputs(rng, rows, hidden)
    y, _, _, _, dresidual, dx, dgamma, dbeta = norm_both(reference, inputs, tokens, DROPOUT)
    x, residual, gamma, beta = (double(t) for t in inputs[:4])
    factors = torch.tensor(mask(DROPOUT, tokens, hidden))
    want = F.layer_norm(x[:tokens] * factors + residual[:tokens], (hidden,), gamma, beta, EPS)
    (want * torch.tensor(inputs[4][:tokens])).sum().backward()
    assert_close(y[:tokens], want.detach())
    assert not y[tokens:].any()
    assert_close(dx, x.grad, 4e-6)
    assert_close(dresidual, residual.grad, 4e-6)
    assert_close(dgamma, gamma.grad, 4e-6)
    assert_close(dbeta, beta.grad, 4e-6)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize(
    "rows,tokens,hidden", [(1, 1, 3), (40, 33, 30), (64, 64, 384), (128, 97, 768)]
)
def test_residual_norm_on_cpu(cpu, reference, rng, rows, tokens, hidden, dropout, in_place):
    inputs = norm_inputs(rng, rows, hidden)
    into = (normal(rng, hidden), normal(rng, hidden))
    for options in ({}, {"accumulate": True, "into": into}):
        got = norm_both(cpu, inputs, tokens, dropout, in_place=in_place, **options)
        want = norm_both(reference, inputs, tokens, dropout, in_place=in_place, **options)
        assert_all_close(got, want, 4e-6)


# ------------------------------------------------------------------------------ rows and losses


def test_first_rows_are_gathered_and_scattered(cpu, reference, rng):
    x, first = normal(rng, 20, 6), normal(rng, 3, 6)
    cu = boundaries([4, 9, 5])
    for backend in (cpu, reference):
        np.testing.assert_array_equal(backend.first_rows_gather(x, cu), x[cu[:-1]])
        dx = x.copy()
        backend.first_rows_scatter(first, dx, cu)
        want = x.copy()
        want[cu[:-1]] += first
        np.testing.assert_array_equal(dx, want)


def test_cross_entropy_is_torchs_and_skips_ignored_labels(cpu, reference, rng):
    logits, labels = normal(rng, 6, 3, scale=3), np.array([0, 2, -100, 1, 1, 2])
    t = double(logits)
    want = F.cross_entropy(t, torch.tensor(labels))
    want.backward()
    for backend in (cpu, reference):
        loss, dlogits = backend.loss(logits, labels, "single_label_classification")
        assert loss == pytest.approx(want.item(), rel=1e-6)
        assert_close(dlogits, t.grad)


@pytest.mark.parametrize(
    "problem,formula",
    [
        ("regression", F.mse_loss),
        ("multi_label_classification", F.binary_cross_entropy_with_logits),
    ],
)
def test_losses_of_real_targets_are_torchs(cpu, reference, rng, problem, formula):
    logits, targets = normal(rng, 5, 4, scale=20), rng.random((5, 4), np.float32)
    t = double(logits)
    want = formula(t, torch.tensor(targets, dtype=torch.float64))
    want.backward()
    for backend in (cpu, reference):
        loss, dlogits = backend.loss(logits, targets, problem)
        assert loss == pytest.approx(want.item(), rel=1e-6)
        assert_close(dlogits, t.grad)


# ------------------------------------------------------------------------------ flat passes


@pytest.mark.parametrize("count", [0, 1, 37, 16384, 300_001])
def test_scale_add(cpu, reference, rng, count):
    x, y = normal(rng, count), normal(rng, count)
    for other in (None, y):
        got, want = x.copy(), x.copy()
        cpu.scale_add(got, 0.5, other)
        reference.scale_add(want, 0.5, other)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("count", [0, 1, 1003, 16385, 5_000_001])
def test_sum_of_squares_is_accumulated_in_float64(cpu, reference, rng, count):
    x = normal(rng, count)
    exact = math.fsum((x.astype(np.float64) ** 2).tolist())
    for backend in (cpu, reference):
        assert backend.sum_of_squares(x) == pytest.approx(exact, rel=1e-12)


def test_sum_of_squares_does_not_depend_on_threads(rng):
    if not has_cpu():
        pytest.skip("this build has no oneDNN")
    x = normal(rng, 1_000_003)
    sums = {_core.Backend("cpu", threads=n).sum_of_squares(x) for n in (1, 2, 3, 4)}
    assert len(sums) == 1


@pytest.mark.parametrize("kind", ["random", "none", "all", "ends"])
@pytest.mark.parametrize("rows,width", [(50, 7), (300, 129), (3000, 100)])
def test_flagged_rows_alone_count(cpu, reference, rng, rows, width, kind):
    x, flags = normal(rng, rows, width), flags_of(rng, rows, kind)
    want = (x[flags > 0].astype(np.float64) ** 2).sum()
    for backend in (cpu, reference):
        assert backend.sum_of_squares(x, flags) == pytest.approx(want, rel=1e-12)
        zeroed = x.copy()
        backend.zero_rows(zeroed, flags)
        np.testing.assert_array_equal(zeroed, np.where(flags[:, None] > 0, 0, x))


def test_zero_rows_without_flags_zeroes_all(cpu, rng):
    x = normal(rng, 40_001)
    cpu.zero_rows(x)
    assert not x.any()


@pytest.mark.parametrize("max_norm,scale", [(0.0, 1.0), (1.0, 0.2), (10.0, 1.0)])
def test_clip(cpu, reference, max_norm, scale):
    squares = np.array([9.0, 16.0])
    for backend in (cpu, reference):
        assert backend.clip(squares, max_norm) == pytest.approx((5.0, scale), rel=1e-5)


def test_adamw_is_torchs(reference, rng):
    start = normal(rng, 30)
    p, m, v = start.copy(), np.zeros(30, np.float32), np.zeros(30, np.float32)
    t = double(start)
    optimizer = torch.optim.AdamW([t], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    for step in range(1, 6):
        gradient = normal(rng, 30)
        reference.adamw(p, gradient, m, v, **HYPER, step=step, scale=0.5)
        t.grad = torch.tensor(gradient * 0.5, dtype=torch.float64)
        optimizer.step()
    assert_close(p, t.detach(), 1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(1,), (37,), (100_003,)])
def test_adamw_on_cpu(cpu, reference, rng, shape, decay):
    hyper = HYPER | {"weight_decay": decay}
    p, g, m = (normal(rng, *shape) for _ in range(3))
    v = normal(rng, *shape) ** 2
    got, want = (p.copy(), m.copy(), v.copy()), (p, m, v)
    cpu.adamw(got[0], g, *got[1:], **hyper, step=3, scale=0.7)
    reference.adamw(want[0], g, *want[1:], **hyper, step=3, scale=0.7)
    assert_all_close(got, want, 1e-6)


@pytest.mark.parametrize("kind", ["random", "none", "all", "ends"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("rows,width", [(50, 7), (700, 129)])
def test_adamw_only_decays_rows_without_a_flag(cpu, reference, rng, rows, width, kind, decay):
    hyper, flags = HYPER | {"weight_decay": decay}, flags_of(rng, rows, kind)
    lives = flags[:, None].astype(np.float32)
    p, g, m = normal(rng, rows, width), *(normal(rng, rows, width) * lives for _ in range(2))
    v = normal(rng, rows, width) ** 2 * lives
    all_rows = (p.copy(), m.copy(), v.copy())
    got, want = (p.copy(), m.copy(), v.copy()), (p, m, v)
    cpu.adamw(got[0], g, *got[1:], **hyper, step=3, flags=flags)
    reference.adamw(want[0], g, *want[1:], **hyper, step=3, flags=flags)
    assert_all_close(got, want, 1e-6)
    cpu.adamw(all_rows[0], g, *all_rows[1:], **hyper, step=3, flags=np.ones(rows, np.uint8))
    for one, other in zip(got, all_rows, strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------ the backend itself


def test_nan_is_not_lost(cpu, rng):
    x, weight, bias, dy = linear_inputs(rng, 20, 33, 33)
    x[7, 5] = np.nan
    y, kept = cpu.linear_forward(x, weight, bias, "gelu")
    assert np.isnan(y[7]).all() and np.isfinite(np.delete(y, 7, 0)).all()
    assert np.isnan(cpu.linear_backward(dy, x, weight, "gelu", kept)[0][7]).all()
    q, k, v, cu, dout = attention_inputs(rng, [20, 30], 50, 2, 16, False)
    k[3, 4] = np.nan
    out, lse = cpu.attention_forward(q, k, v, cu, 2)
    assert np.isnan(out[:20, :16]).all() and np.isnan(lse[0, :20]).all()
    assert np.isfinite(out[20:]).all() and np.isfinite(out[:, 16:]).all()
    total = cpu.residual_norm_forward(x, x, bias, bias, EPS)[1]
    assert np.isnan(total[7, 5])


@needs_cpu
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_thread_count_gives_the_same_bits(rng, threads):
    lengths = rng.integers(20, 90, 8)
    q, k, v, cu, dout = attention_inputs(rng, lengths, 768, 4, 64, False)
    norm = norm_inputs(rng, 500, 384)
    linear = linear_inputs(rng, 500, 96, 160)
    runs = []
    for _ in range(2):
        backend = _core.Backend("cpu", threads=threads)
        y, kept = backend.linear_forward(*linear[:3], "gelu")
        runs.append(
            (
                *attention_both(backend, q, k, v, cu, dout, 4, dropout=DROPOUT),
                *norm_both(backend, norm, 490, DROPOUT),
                *backend.linear_backward(linear[3], linear[0], linear[1], "gelu", kept),
            )
        )
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_cpu
def test_torchs_own_thread_count_is_left_alone(rng):
    before = torch.get_num_threads()
    backend = _core.Backend("cpu", threads=before + 1)
    backend.linear_forward(*linear_inputs(rng, 64, 64, 64)[:3])
    assert torch.get_num_threads() == before


@needs_cpu
def test_a_forked_child_is_refused_rather_than_hung(rng):
    backend = _core.Backend("cpu", threads=2)
    x = normal(rng, 100_000)
    backend.scale_add(x, 0.5)
    child = os.fork()
    if child == 0:
        try:
            backend.scale_add(x, 0.5)
            os._exit(1)
        except RuntimeError as error:
            os._exit(0 if "spawn" in str(error) else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_cpu
def test_kernels_that_do_not_exist_are_refused(monkeypatch):
    monkeypatch.setenv("FTCORE_CPU_KERNELS", "sse9")
    with pytest.raises(ValueError, match="FTCORE_CPU_KERNELS must be .* got 'sse9'"):
        _core.Backend("cpu")


def test_unknown_backends_and_thread_counts_are_refused():
    with pytest.raises(ValueError, match="unknown backend 'gpu'"):
        _core.Backend("gpu")
    with pytest.raises(ValueError, match="threads must be at least 1"):
        _core.Backend("auto", threads=-1)


@needs_cpu
def test_more_threads_than_could_ever_start_are_refused():
    with pytest.raises(ValueError, match="threads must be at most 1024, got 100000"):
        _core.Backend("cpu", threads=100_000)
