"""The same seed on the same machine and number of threads gives the same weights, bit for bit;
other numbers of threads the same up to rounding."""

import numpy as np
import pytest
from small_run import SmallRun, run, skip_unless_supported

pytestmark = pytest.mark.onednn

# Prints digests of weights and moments after 100 steps, of as many runs as are asked for.
DIGESTS = """
import hashlib, sys
from small_run import SmallRun
precision, threads, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for _ in range(runs):
    small = SmallRun(precision, threads)
    for i in range(100):
        tokens = int(small.rng.integers(60, 200))
        small.step(*(small.batch(tokens) for _ in range(1 + (i % 10 == 0))))
    digest = hashlib.sha256()
    for i in range(len(small.core.parameters())):
        for array in (small.core.parameter(i), *small.core.moments(i)):
            digest.update(array.tobytes())
    print(digest.hexdigest())
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_100_steps_give_the_same_bits(precision, threads):
    skip_unless_supported(precision)
    digests = [run(DIGESTS, precision, threads, runs).split() for runs in (2, 1)]
    assert [len(found) for found in digests] == [2, 1]
    assert len({*digests[0], *digests[1]}) == 1


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-3)])
def test_other_numbers_of_threads_agree_up_to_rounding(precision, tolerance):
    skip_unless_supported(precision)
    losses = []
    for threads in (1, 2, 4):
        small = SmallRun(precision, threads)
        assert small.core.threads == threads
        batches = [small.batch(tokens) for tokens in (70, 110, 150, 190, 130)]
        losses.append([small.step(batch) for batch in batches])
    np.testing.assert_allclose(losses[1:], losses[:1] * 2, rtol=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_threads_may_change_between_forward_and_backward(precision, tolerance):
    skip_unless_supported(precision)
    gradients = []
    for threads in (2, 3):
        small = SmallRun(precision, 2)
        small.core.forward(small.batch(150), training=True)
        small.core.threads = threads
        small.core.backward()
        count = len(small.core.parameters())
        gradients.append(np.concatenate([small.core.gradient(i).ravel() for i in range(count)]))
    assert np.linalg.norm(gradients[1] - gradients[0]) <= tolerance * np.linalg.norm(gradients[0])
