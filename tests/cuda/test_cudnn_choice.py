"""Which attention is cuDNN's, on the mock GPU and the mock cuDNN, and in which form."""

import numpy as np
import pytest
from operations_support import attention_inputs, attention_of_torch

RAGGED, DENSE = "A100", "RTX 5090"
LENGTHS, ROWS = [5, 1, 70, 64], 192


def to_bits(x, precision):
    if precision == "float16":
        return x.astype(np.float16)
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def exact(bits):
    if bits.dtype == np.float16:
        return bits.astype(np.float64)
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


class Attention:
    """Operands as a layer has them, columns of one matrix; or each of its own."""

    def __init__(self, precision="bfloat16", heads=2, head_dim=16, one_matrix=True, seed=5):
        rng = np.random.default_rng(seed)
        *views, self.cu, dout = attention_inputs(rng, LENGTHS, ROWS, heads, head_dim, False)
        width = heads * head_dim
        matrix = np.concatenate([to_bits(np.array(x), precision) for x in views], axis=1)
        parts = [matrix[:, i * width : (i + 1) * width] for i in range(3)]
        self.qkv = parts if one_matrix else [np.ascontiguousarray(part) for part in parts]
        self.dout, self.heads = to_bits(dout, precision), heads
        self.step = 2.0**-8 if precision == "bfloat16" else 2.0**-11

    def run(self, backend, dropout=None):
        """out, dq, dk, dv"""
        out, kept = backend.attention_forward(*self.qkv, self.cu, self.heads, dropout=dropout)
        gradients = backend.attention_backward(
            self.dout, *self.qkv, kept, self.cu, self.heads, dropout=dropout, out=out
        )
        assert kept.ndim == 1  # not the statistics of our own kernels, which are [heads, rows]
        return [out, *gradients]


def assert_is_attention(got, attention):
    starts = attention.cu[:-1]
    operands = (*map(exact, attention.qkv), attention.cu, exact(attention.dout))
    want = attention_of_torch(*operands, attention.heads, starts, False, None)
    for bits, wanted in zip(got, want, strict=True):
        off = np.abs(exact(bits) - np.asarray(wanted)).max()
        assert off <= 4 * attention.step * np.abs(wanted).max()
        assert not bits[attention.cu[-1] :].any()


@pytest.mark.parametrize("device", [RAGGED, DENSE])
def test_before_cudnn_takes_packed_rows_it_is_dense_inside(gpu, mock_cudnn, device):
    mock_cudnn.library.mock_set_cudnn_version(91002)
    attention = Attention()
    assert_is_attention(attention.run(gpu(device)), attention)


def test_a_plan_on_disk_that_is_none_is_built_anew(gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("FTCORE_CACHE", str(tmp_path))
    attention = Attention()
    first = attention.run(gpu(RAGGED))
    for path in tmp_path.rglob("plans*"):
        path.write_bytes(b"{}")
    again = attention.run(gpu(RAGGED))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("device,head_dim", [("T4", 16), (RAGGED, 12)])
def test_what_cudnn_does_not_take_is_our_kernels(gpu, device, head_dim):
    attention = Attention("float16", head_dim=head_dim)
    _, kept = gpu(device).attention_forward(*attention.qkv, attention.cu, attention.heads)
    assert kept.shape == (attention.heads, ROWS)


@pytest.mark.parametrize("engines", [1, 0])
def test_a_gpu_of_a_kind_that_was_not_tried_is_asked(
    gpu, mock_cudnn, monkeypatch, tmp_path, engines
):
    monkeypatch.setenv("FTCORE_CACHE", str(tmp_path))
    attention = Attention()
    if not engines:
        mock_cudnn.library.mock_set_configurations(0, 0, 0)
    backend = gpu("GB10")
    if engines:
        assert_is_attention(attention.run(backend), attention)
        return
    out, kept = backend.attention_forward(*attention.qkv, attention.cu, attention.heads)
    assert kept.shape == (attention.heads, ROWS)
    gradients = backend.attention_backward(
        attention.dout, *attention.qkv, kept, attention.cu, attention.heads, out=out
    )
    assert_is_attention([out, *gradients], attention)


def test_an_old_cudnn_is_refused(gpu, mock_cudnn):
    mock_cudnn.library.mock_set_cudnn_version(90800)
    with pytest.raises(RuntimeError, match=r"9\.8\.0.*9\.10\.2"):
        gpu(RAGGED)
