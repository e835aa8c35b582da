"""The seeds of initial weights and dropout.

Initial weights equal those that torch draws after the same seed. Where torch is loaded they come
from torch's own generator, so that scripts which seed torch themselves get what they asked for;
otherwise from NumPy's Mersenne Twister, the generator that torch uses on the CPU, through torch's
way from uniform to normal numbers.
"""

from __future__ import annotations

import math
import random
import secrets
import sys

import numpy as np
from numpy.typing import NDArray

# torch fills tensors of at least this many elements in blocks of as many.
_BLOCK = 16


class TorchGenerator:
    """torch's CPU generator, without torch."""

    def __init__(self, seed: int) -> None:
        # torch seeds its Mersenne Twister with the lower 32 bits.
        self._twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self._spare: float | None = None

    def _words(self, count: int) -> NDArray[np.uint32]:
        return self._twister.randint(0, 2**32, size=count, dtype=np.uint32)

    def _uniform32(self, count: int) -> NDArray[np.float32]:
        """[count] float32 of 24 random bits each, in [0, 1)."""
        return (self._words(count) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2**-24)

    def _uniform64(self) -> float:
        high, low = self._words(2).tolist()
        return ((high << 32 | low) & (2**53 - 1)) * 2.0**-53

    def _scalar(self) -> float:
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        angle = 2 * math.pi * self._uniform64()
        radius = math.sqrt(-2 * math.log1p(-self._uniform64()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    @staticmethod
    def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Box and Muller's transform, in blocks: eight radii, then eight angles."""
        blocks = uniform.reshape(-1, 2, _BLOCK // 2)
        radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - blocks[:, 0]))
        angle = np.float32(2 * math.pi) * blocks[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)

    def normal(self, shape: tuple[int, ...], std: float) -> NDArray[np.float32]:
        """float32 `shape`: what ``torch.empty(shape).normal_(0, std)`` holds, to 2e-8."""
        count = math.prod(shape)
        if count < _BLOCK:
            values = np.array([self._scalar() for _ in range(count)], np.float64)
            return (values * std).astype(np.float32).reshape(shape)
        uniform = self._uniform32(count)
        result = np.empty(count, np.float32)
        whole = count - count % _BLOCK
        result[:whole] = self._box_muller(uniform[:whole])
        if whole < count:
            result[-_BLOCK:] = self._box_muller(self._uniform32(_BLOCK))
        result *= np.float32(std)
        return result.reshape(shape)


class _Seeds:
    """What `set_seed` was last told, and the generator that came of it."""

    def __init__(self) -> None:
        self.seed = secrets.randbits(63)
        self.generator = TorchGenerator(self.seed)
        # torch was not there to be told; the draw that finds it there tells it.
        self.owed_to_torch = False


_seeds = _Seeds()


def set_seed(seed: int) -> None:
    """Seeds ``random``, NumPy's global generator, ftcore's own and, where it is loaded, torch's.

    Raises ValueError unless 0 <= seed < 2**32.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer, got {type(seed).__name__}")
    seed = int(seed)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    _seeds.seed = seed
    _seeds.generator = TorchGenerator(seed)
    torch = sys.modules.get("torch")
    _seeds.owed_to_torch = torch is None
    if torch is not None:
        torch.manual_seed(seed)


def dropout_seed() -> int:
    """The seed of a new model's dropout outside of Trainer."""
    return _seeds.seed


def draw_normal(shape: tuple[int, ...], std: float) -> NDArray[np.float32]:
    """float32 `shape` from N(0, std^2): the next numbers after the seed."""
    torch = sys.modules.get("torch")
    if torch is None:
        return _seeds.generator.normal(shape, std)
    if _seeds.owed_to_torch:
        torch.manual_seed(_seeds.seed)
        _seeds.owed_to_torch = False
    return torch.empty(shape, dtype=torch.float32).normal_(0.0, std).numpy()
