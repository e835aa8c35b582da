"""Attention by cuDNN on the mock GPU: the graphs with what surrounds them in the backend."""

import ctypes

import numpy as np
import pytest
import torch
from cudnn_support import assert_rounded, attention_of_mask, exact, operand, rounded
from operations_support import DROPOUT, attention_inputs, boundaries

# By GPU and cuDNN: packed rows, where it takes them; otherwise they are padded.
BACKENDS = [("A100", 91801), ("H100", 91002), ("A100", 91501), ("RTX 5090", 91801)]
LENGTHS, HEADS, HEAD_DIM = [5, 1, 12], 3, 16
ROWS = sum(LENGTHS) + 6


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of what is kept on disk: empty."""
    monkeypatch.setenv("FTCORE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(params=BACKENDS, ids=lambda p: f"{p[0]}-{p[1]}")
def cuda(request, gpu, mock_cudnn):
    name, version = request.param
    mock_cudnn.library.mock_set_cudnn_version(ctypes.c_size_t(version))
    yield gpu(name)
    assert mock_cudnn.calls("cudnnBackendExecute")


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def matrices(rng, precision, together, lengths=LENGTHS):
    """q, k and v, side by side or apart, and dout; cu_seqlens."""
    *inputs, cu, dout = attention_inputs(rng, lengths, ROWS, HEADS, HEAD_DIM, False)
    if together:
        whole = operand(rounded(np.concatenate(inputs, axis=1), precision), precision)
        inputs = np.split(whole, 3, axis=1)
    else:
        inputs = [operand(rounded(x, precision), precision) for x in inputs]
    return *inputs, operand(rounded(dout, precision), precision), cu


def numbers(x, precision):
    return exact(np.ascontiguousarray(x).view(np.uint16), precision)


def mask_of(cuda, dropout):
    """The factors of dropout [sequences, heads, 12, 12]: of equal probabilities, and of v that
    puts that of key j into column j."""
    cu = boundaries(LENGTHS)
    zeros, v = np.zeros((ROWS, HEADS * HEAD_DIM), np.float16), np.zeros((ROWS, HEADS, HEAD_DIM))
    for start, end in zip(cu, cu[1:], strict=False):
        v[start:end, :, : end - start] = np.eye(end - start)[:, None]
    v = v.astype(np.float16).reshape(ROWS, -1)
    out, _ = cuda.attention_forward(zeros, zeros, v, cu, HEADS, dropout=dropout)
    mask = torch.zeros(len(LENGTHS), HEADS, 12, 12, dtype=torch.float64)
    for s, length in enumerate(LENGTHS):
        own = out[cu[s] : cu[s + 1]].reshape(length, HEADS, HEAD_DIM)[:, :, :length]
        mask[s, :, :length, :length] = torch.tensor(own != 0).transpose(0, 1)
    return mask / (1 - float(np.float32(dropout[0])))


@pytest.mark.parametrize("dropout", [None, DROPOUT])
@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_attention(cuda, rng, precision, together, dropout):
    q, k, v, dout, cu = matrices(rng, precision, together)
    options = {"dropout": dropout}
    out, state = cuda.attention_forward(q, k, v, cu, HEADS, **options)
    gradients = cuda.attention_backward(dout, q, k, v, state, cu, HEADS, out=out, **options)
    mask = mask_of(cuda, dropout) if dropout else torch.ones(3, HEADS, 12, 12).double()
    operands = [numbers(x, precision) for x in (q, k, v, dout)]
    wanted, terms = attention_of_mask(*operands[:3], cu, operands[3], HEADS, mask)
    for bits, want, term in zip((out, *gradients), wanted, terms, strict=True):
        assert_rounded(numbers(bits, precision), want, precision, term)
        assert not numbers(bits, precision)[cu[-1] :].any()


def test_a_dropout_is_a_function_of_its_fields(cuda):
    p, seed, step, micro_step, site = DROPOUT
    mask = mask_of(cuda, (0.5, seed, step, micro_step, site))
    assert set(mask.unique().tolist()) == {0, 2}
    assert torch.equal(mask, mask_of(cuda, (0.5, seed, step, micro_step, site)))
    for other in [(seed + 1, step, micro_step, site), (seed, step + 1, micro_step, site)]:
        assert not torch.equal(mask, mask_of(cuda, (0.5, *other)))
    for other in [(seed, step, micro_step + 1, site), (seed, step, micro_step, site + 1)]:
        assert not torch.equal(mask, mask_of(cuda, (0.5, *other)))


def test_lengths_change_and_the_plan_does_not(cuda, rng, mock_cudnn):
    """As long as they are of one bucket, and as many."""
    for lengths in ([5, 1, 12], [1, 20, 3]):
        q, k, v, dout, cu = matrices(rng, "float16", True, lengths)
        out, state = cuda.attention_forward(q, k, v, cu, HEADS)
        gradients = cuda.attention_backward(dout, q, k, v, state, cu, HEADS, out=out)
        operands = [numbers(x, "float16") for x in (q, k, v, dout)]
        mask = torch.ones(3, HEADS, 20, 20).double()
        wanted, terms = attention_of_mask(*operands[:3], cu, operands[3], HEADS, mask)
        for bits, want, term in zip((out, *gradients), wanted, terms, strict=True):
            assert_rounded(numbers(bits, "float16"), want, "float16", term)
        plans = mock_cudnn.calls("cudnnBackendFinalize") - mock_cudnn.calls("cudnnBackendExecute")
        if lengths == [5, 1, 12]:
            before = plans
    assert plans == before


def test_plans_are_kept_on_disk(gpu, mock_cudnn, rng, cache):
    """For the next backend, which needs no heuristics; one that is damaged is made anew."""
    q, k, v, _, cu = matrices(rng, "float16", True)

    def run():
        """out, and how many descriptors a backend finalises for it."""
        cuda, before = gpu(), mock_cudnn.calls("cudnnBackendFinalize")
        out, _ = cuda.attention_forward(q, k, v, cu, HEADS)
        return out, mock_cudnn.calls("cudnnBackendFinalize") - before

    wanted, whole_graph = run()
    assert whole_graph > 20
    out, loaded = run()
    assert loaded == 2  # the plan and its operands
    np.testing.assert_array_equal(out, wanted)
    (plan,) = cache.glob("plans-*")
    plan.write_bytes(plan.read_bytes().replace(b"program", b"Program"))
    out, anew = run()
    assert whole_graph <= anew <= whole_graph + 1
    np.testing.assert_array_equal(out, wanted)


def test_what_cudnn_refuses_is_said(gpu, mock_cudnn, rng):
    q, k, v, _, cu = matrices(rng, "bfloat16", True)
    mock_cudnn.fail("cudnnBackendExecute", 4000)
    with pytest.raises(RuntimeError, match="cuDNN 9.18.1, executing a plan: .*INTERNAL_ERROR"):
        gpu().attention_forward(q, k, v, cu, HEADS)
    mock_cudnn.library.mock_set_configurations(0, 0, 0)
    with pytest.raises(RuntimeError, match="no engine for these operands on this GPU: Reason: "):
        gpu("H100").attention_forward(q, k, v, cu, HEADS)
