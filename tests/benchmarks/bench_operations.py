"""The CPU backend's operations beside torch's, at the shapes of BERT-base on eight MRPC rows.

    python tests/benchmarks/bench_operations.py [--threads N] [--rounds N]

Both sides run in turn in every round; the table shows medians in milliseconds and their ratio.
torch gets the batch as it does in a Trainer: padded, [8, 67]; ftcore gets its packed rows.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ftcore import _core
from ftcore.bench.machine import describe, load
from ftcore.bench.report import print_table

LENGTHS = [50, 59, 47, 67, 59, 50, 62, 32]
HIDDEN, HEADS, FEED_FORWARD = 768, 12, 3072
TOKENS = sum(LENGTHS)
ROWS = -(-TOKENS // 16) * 16
PADDED = len(LENGTHS) * max(LENGTHS)
DROPOUT = (0.1, 42, 1, 0, 0)
PARAMETERS = 30_000_000

Pair = tuple[Callable[[], object], Callable[[], object]]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def leaf(*shape: int) -> torch.Tensor:
    return torch.from_numpy(normal(*shape)).requires_grad_()


def linear(backend: _core.Backend, width: int, out: int, activation: str) -> tuple[Pair, Pair]:
    x, weight, bias, dy = normal(ROWS, width), normal(out, width), normal(out), normal(ROWS, out)
    _, kept = backend.linear_forward(x, weight, bias, activation)
    tx, tw, tb = leaf(PADDED, width), leaf(out, width), leaf(out)
    tdy = torch.from_numpy(normal(PADDED, out))

    def torch_forward():
        y = F.linear(tx, tw, tb)
        return F.gelu(y) if activation == "gelu" else y

    y = torch_forward()
    return (
        (lambda: backend.linear_forward(x, weight, bias, activation), torch_forward),
        (
            lambda: backend.linear_backward(dy, x, weight, activation, kept),
            lambda: torch.autograd.grad(y, (tx, tw, tb), tdy, retain_graph=True),
        ),
    )


def attention(backend: _core.Backend) -> tuple[Pair, Pair]:
    cu = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int32)
    qkv, dout = normal(ROWS, 3 * HIDDEN), normal(ROWS, HIDDEN)
    q, k, v = (qkv[:, i * HIDDEN : (i + 1) * HIDDEN] for i in range(3))
    _, lse = backend.attention_forward(q, k, v, cu, HEADS, dropout=DROPOUT)
    shape = (len(LENGTHS), HEADS, max(LENGTHS), HIDDEN // HEADS)
    tensors = [leaf(*shape) for _ in range(3)]
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None])[:, None, None]
    tdout = torch.from_numpy(normal(*shape))

    def torch_forward():
        return F.scaled_dot_product_attention(*tensors, attn_mask=mask, dropout_p=0.1)

    out = torch_forward()
    return (
        (lambda: backend.attention_forward(q, k, v, cu, HEADS, dropout=DROPOUT), torch_forward),
        (
            lambda: backend.attention_backward(dout, q, k, v, lse, cu, HEADS, dropout=DROPOUT),
            lambda: torch.autograd.grad(out, tensors, tdout, retain_graph=True),
        ),
    )


def residual_norm(backend: _core.Backend) -> tuple[Pair, Pair]:
    x, residual, dy = (normal(ROWS, HIDDEN) for _ in range(3))
    gamma, beta = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)

    def forward():
        return backend.residual_norm_forward(x, residual, gamma, beta, 1e-12, TOKENS, DROPOUT)

    _, total, mean, rstd, _ = forward()
    tensors = [leaf(PADDED, HIDDEN), leaf(PADDED, HIDDEN), leaf(HIDDEN), leaf(HIDDEN)]
    tdy = torch.from_numpy(normal(PADDED, HIDDEN))

    def torch_forward():
        tx, tr, tg, tb = tensors
        return F.layer_norm(F.dropout(tx, 0.1) + tr, (HIDDEN,), tg, tb, 1e-12)

    y = torch_forward()
    return (
        (forward, torch_forward),
        (
            lambda: backend.residual_norm_backward(dy, total, mean, rstd, gamma, TOKENS, DROPOUT),
            lambda: torch.autograd.grad(y, tensors, tdy, retain_graph=True),
        ),
    )


def adamw(backend: _core.Backend) -> Pair:
    p, g, m, v = (normal(PARAMETERS) for _ in range(4))
    v *= v
    parameter = leaf(PARAMETERS)
    parameter.grad = torch.from_numpy(normal(PARAMETERS))
    optimizer = torch.optim.AdamW([parameter], lr=1e-5, fused=True)
    return lambda: backend.adamw(p, g, m, v, 1e-5, 0.9, 0.999, 1e-8, 0.01, 3), optimizer.step


def measure(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def compare(pair: Pair, rounds: int) -> tuple[float, float]:
    """The medians of both sides, in milliseconds."""
    ours, theirs = pair
    ours(), theirs()
    times = [(measure(ours), measure(theirs)) for _ in range(rounds)]
    mine, torchs = (statistics.median(t) for t in zip(*times, strict=True))
    return mine, torchs


def row(name: str, mine: float, torchs: float, flops: float = 0) -> list[str]:
    rate = f"{flops / mine / 1e6:.0f}" if flops else ""
    return [name, f"{mine:.2f}", f"{torchs:.2f}", f"{torchs / mine:.1f}x", rate]


def linear_rows(backend: _core.Backend, rounds: int) -> list[list[str]]:
    shapes = [
        ("query, key, value", HIDDEN, 3 * HIDDEN, "none"),
        ("attention output", HIDDEN, HIDDEN, "none"),
        ("feed-forward up + GELU", HIDDEN, FEED_FORWARD, "gelu"),
        ("feed-forward down", FEED_FORWARD, HIDDEN, "none"),
    ]
    rows, total = [], np.zeros(3)
    for name, width, out, activation in shapes:
        flops = 2.0 * ROWS * width * out
        forward, backward = linear(backend, width, out, activation)
        for label, pair, work in (("", forward, flops), (", backward", backward, 2 * flops)):
            mine, torchs = compare(pair, rounds)
            rows.append(row(name + label, mine, torchs, work))
            total += mine, torchs, work
    return [*rows, row("all of these, 12 layers", *(12 * total))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    backend = _core.Backend("cpu", options.threads)
    print(f"{describe()}\nload {load():.1f} before")
    print(f"{TOKENS} tokens in {ROWS} rows; torch: {PADDED} padded rows")
    rows = linear_rows(backend, options.rounds)
    for name, (forward, backward) in (
        ("attention", attention(backend)),
        ("dropout + residual + norm", residual_norm(backend)),
    ):
        rows.append(row(name, *compare(forward, options.rounds)))
        rows.append(row(f"{name}, backward", *compare(backward, options.rounds)))
    millions = f"{PARAMETERS / 1e6:.0f} M parameters"
    rows.append(row(f"AdamW, {millions}", *compare(adamw(backend), options.rounds)))
    print_table(["operation", "ftcore ms", "torch ms", "ratio", "GFLOP/s"], rows)
    print(f"load {load():.1f} after")


if __name__ == "__main__":
    main()
