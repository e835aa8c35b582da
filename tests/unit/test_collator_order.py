"""The order of rows: the one that Hugging Face's Trainer visits them in."""

import numpy as np
import pytest

from ftcore._core import shuffled_order


def formula(count: int, seed: int) -> list[int]:
    """torch.randperm's Fisher-Yates shuffle over NumPy's Mersenne Twister."""
    draws = np.random.RandomState(seed).randint(0, 2**32, size=max(count - 1, 0), dtype=np.uint32)
    order = list(range(count))
    for i in range(count - 1):
        other = i + int(draws[i]) % (count - i)
        order[i], order[other] = order[other], order[i]
    return order


@pytest.mark.parametrize("count", [0, 1, 2, 3, 623, 624, 625, 3668])
@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_equals_the_formula(count, seed):
    assert shuffled_order(count, seed).tolist() == formula(count, seed)


def test_is_an_int64_permutation():
    order = shuffled_order(1000, 7)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(1000))


@pytest.mark.parametrize(
    ("count", "seed", "error", "message"),
    [
        (-1, 0, ValueError, "count must be from 0"),
        (2**31, 0, ValueError, "count must be from 0"),
        (3, -1, ValueError, "seed must be from 0"),
        (3, 2**64, ValueError, "seed must be from 0"),
        (3, 1.5, TypeError, "integer"),
        ("3", 1, TypeError, "integer"),
    ],
)
def test_bad_input_is_refused(count, seed, error, message):
    with pytest.raises(error, match=message):
        shuffled_order(count, seed)
