"""Train steps of a model small enough to be quick, and large enough for its operations to be
divided among threads. Processes that tests start import this too: `run` starts them."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from ftcore import _core

LONGEST = 28
ROWS = 8
VOCAB = 3000
WORDS = 300  # that batches use, so that a few touch all pages of their embeddings


class SmallRun:
    """A model with dropout, the same every time, and its steps."""

    def __init__(self, precision: str, threads: int, seed: int = 0):
        self.core = _core.Model(
            dict(
                model_type="bert",
                vocab_size=VOCAB,
                hidden_size=128,
                num_hidden_layers=3,
                num_attention_heads=4,
                intermediate_size=512,
                max_position_embeddings=64,
                type_vocab_size=2,
                pad_token_id=0,
                num_labels=2,
                layer_norm_eps=1e-12,
                hidden_dropout_prob=0.1,
                attention_probs_dropout_prob=0.1,
                classifier_dropout=0.1,
            ),
            "cpu",
            threads,
        )
        self.core.precision = precision
        self.rng = np.random.default_rng(seed)
        for i, (_, shape, decays) in enumerate(self.core.parameters()):
            self.core.parameter(i)[...] = self.rng.normal(0.0 if decays else 0.5, 0.05, shape)
        self.group_of = np.array([int(not d) for *_, d in self.core.parameters()], np.int32)
        self.steps = 0

    def batch(self, tokens: int, longest: bool = False) -> _core.Batch:
        """A ragged batch of ROWS rows with so many tokens (or a few more); `longest`: with a row of
        LONGEST tokens in it."""
        lengths = np.full(ROWS, 5)
        if longest:
            lengths[0] = LONGEST
        while lengths.sum() < tokens:
            row = self.rng.integers(ROWS)
            lengths[row] += lengths[row] < LONGEST
        return _core.pack_padded(
            self.rng.integers(5, WORDS, (ROWS, LONGEST)),
            np.arange(LONGEST) < lengths[:, None],
            None,
            None,
            self.rng.integers(0, 2, ROWS),
        )

    def step(self, *batches: _core.Batch) -> float:
        """Takes one optimizer step and returns its loss."""
        self.steps += 1
        groups = [(1e-3, 0.9, 0.999, 1e-8, decay) for decay in (0.01, 0.0)]
        return self.core.train_step(
            batches, 1 / len(batches), 1, groups, self.group_of, self.steps, 1.0
        )[0]


def skip_unless_supported(precision: str) -> None:
    if not _core.Backend("cpu").supports(precision):
        pytest.skip(f"this processor does not train in {precision}")


def run(code: str, *arguments: object, **environment: str) -> str:
    """What Python code prints that may import this module."""
    here = str(pathlib.Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([here, os.environ["PYTHONPATH"]]),
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
