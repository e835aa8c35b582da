"""The least time that a train step can take on this machine.

limit = needed arithmetic / measured rate of products + AdamW's bytes / measured bandwidth.

Needed arithmetic is that of real tokens: every layer's products, forward, and backward for their
input and their weight, and attention's; in the last layer, of which the classifier sees one row a
sequence, the products of that row alone where that is enough. The rate is that of oneDNN at the
step's own products, run one behind the other with nothing between them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ftcore import _core

Product = tuple[int, int, int]
"""(rows, in, out)"""

ROW_BLOCK = 16
"""Products are measured over rows rounded up to so many, which suits oneDNN best."""
STREAM_ELEMENTS = 1 << 25
"""Floats in each array of the stream: far more than caches hold."""
STREAM_BYTES = 28
"""AdamW reads parameter, gradient and two moments of 4 bytes, and writes all but the gradient."""
SHADOW_BYTES = 2
"""In bfloat16 it writes a copy of the layers' weights too."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """What the limit depends on: the lengths of a batch's sequences, and how many rows of the word
    embedding have moments by then."""

    lengths: list[int]
    active_words: int

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


def typical_batch(rows: Sequence[Sequence[int]], batch_size: int, first: int, last: int) -> Batch:
    """The batch of the median number of tokens among batches first to last - 1 of training on
    `rows` (token ids), in the order of both libraries' Trainer."""
    order = _core.shuffled_order(len(rows), 42).tolist()
    batches = [order[i * batch_size : (i + 1) * batch_size] for i in range(last)]
    tokens = [sum(len(rows[row]) for row in batch) for batch in batches[first:]]
    median = first + int(np.argsort(tokens)[(len(tokens) - 1) // 2])
    seen = {word for batch in batches[: (first + last) // 2] for row in batch for word in rows[row]}
    return Batch([len(rows[row]) for row in batches[median]], len(seen))


def step_products(config: Mapping[str, Any], tokens: int, sequences: int) -> list[Product]:
    """The products of one forward pass over so many tokens, in order."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layer = [
        (tokens, hidden, 3 * hidden),
        (tokens, hidden, hidden),
        (tokens, hidden, inner),
        (tokens, inner, hidden),
    ]
    last = [
        (sequences, hidden, hidden),
        (tokens, hidden, 2 * hidden),
        (sequences, hidden, hidden),
        (sequences, hidden, inner),
        (sequences, inner, hidden),
    ]
    head = [(sequences, hidden, hidden), (sequences, hidden, config["num_labels"])]
    return [*(layer * (config["num_hidden_layers"] - 1)), *last, *head]


def measured_products(config: Mapping[str, Any], batch: Batch) -> list[Product]:
    """The products at which the rate is measured."""
    rows = -(-batch.tokens // ROW_BLOCK) * ROW_BLOCK
    return step_products(config, rows, len(batch.lengths))


def product_flops(products: Sequence[Product]) -> float:
    """Operations of the products, forward and backward: 2 a multiplication and addition."""
    return sum(6.0 * rows * width * out for rows, width, out in products)


def needed_flops(config: Mapping[str, Any], batch: Batch) -> float:
    """Operations of a step on the batch's real tokens: its products, and two products of attention
    forward and four backward."""
    products = step_products(config, batch.tokens, len(batch.lengths))
    pairs = sum(length * length for length in batch.lengths)
    queries = (config["num_hidden_layers"] - 1) * pairs + batch.tokens
    return product_flops(products) + 12.0 * config["hidden_size"] * queries


def adamw_bytes(config: Mapping[str, Any], batch: Batch, precision: str) -> float:
    """Bytes that AdamW must move: those of all parameters but the word embedding's rows that no
    sequence has used yet."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    types = config.get("type_vocab_size", 0)
    embedding = (batch.active_words + config["max_position_embeddings"] + types + 2) * hidden
    layer = 4 * hidden * (hidden + 1) + 2 * hidden * inner + inner + hidden + 4 * hidden
    head = (hidden + config["num_labels"]) * (hidden + 1)
    layers = config["num_hidden_layers"]
    moved = STREAM_BYTES * (embedding + layers * layer + head)
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner)
    return moved + (SHADOW_BYTES * weights if precision == "bfloat16" else 0)


def step_limit(
    config: Mapping[str, Any],
    batch: Batch,
    precision: str,
    products_seconds: float,
    stream_seconds: float,
    step_seconds: float,
) -> dict[str, float]:
    """The limit and what it is made of, in operations, bytes and seconds, from the times of a pass
    over `measured_products` and of one over the stream; "ratio": the step's time over it."""
    rate = product_flops(measured_products(config, batch)) / products_seconds
    bandwidth = STREAM_BYTES * STREAM_ELEMENTS / stream_seconds
    flops, moved = needed_flops(config, batch), adamw_bytes(config, batch, precision)
    seconds = flops / rate + moved / bandwidth
    return {
        "flops": flops,
        "flops_per_second": rate,
        "adamw_bytes": moved,
        "bytes_per_second": bandwidth,
        "seconds": seconds,
        "ratio": step_seconds / seconds,
    }
