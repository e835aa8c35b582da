"""Several Python threads use ftcore at once. These tests also run under the thread sanitizer."""

import sys
import threading

import numpy as np
import pytest
from small_run import SmallRun, skip_unless_supported
from tokenizer_support import VOCAB, encode_rows

from ftcore import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    _core,
    set_seed,
)
from ftcore.tokenization import BertTokenizer

TEXTS = [f"the quick brown fox {i} jumped, over the lazy dog" * (1 + i % 3) for i in range(300)]


@pytest.fixture(autouse=True)
def frequent_switches():
    """Threads that hold the interpreter's lock take turns a thousand times a second or more."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def at_once(*works):
    """Calls each function on a thread of its own, all starting together; returns their results."""
    barrier = threading.Barrier(len(works))
    results = [None] * len(works)

    def work(i):
        barrier.wait()
        try:
            results[i] = works[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, AssertionError):
            raise result
    return results


def test_one_tokenizer():
    core = BertTokenizer(VOCAB)._core
    expected = encode_rows(core, TEXTS, threads=1).ids

    def encode(threads):
        for _ in range(5):
            assert np.array_equal(encode_rows(core, TEXTS, threads=threads).ids, expected)
            assert core.normalize("Né") == "ne"

    # Those that find the pool taken do their work alone.
    assert at_once(*[lambda t=t: encode(t) for t in (4, 3, 2, 4)]) == [None] * 4


def test_one_set_of_columns():
    rng = np.random.default_rng(0)
    rows = [{"input_ids": rng.integers(5, 99, 1 + i % 9).tolist(), "label": 1} for i in range(99)]
    columns = _core.Columns.from_rows(rows)
    order = rng.permutation(99)
    expected = columns.pack(order).input_ids

    def read():
        for _ in range(20):
            assert np.array_equal(columns.pack(order).input_ids, expected)
            assert columns.lengths().sum() == len(expected)
            assert len(_core.Columns.from_rows(rows)) == 99

    def collate():
        for _ in range(20):
            padded, _ = _core.pad_columns(rows, "input_ids", 0, 0, -1, 1, False, False, None)
            assert padded["input_ids"].shape == (99, 9)

    assert at_once(read, read, collate, collate) == [None] * 4


def losses(small, batches):
    return [small.step(batch) for batch in batches]


@pytest.mark.onednn
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_models_of_their_own(precision):
    skip_unless_supported(precision)

    def make():
        small = SmallRun(precision, 3)
        batches = [small.batch(tokens) for tokens in (70, 150, 110)]
        return small, batches

    expected = losses(*make())
    first, second = make(), make()
    assert at_once(lambda: losses(*first), lambda: losses(*second)) == [expected] * 2


def test_trainers_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"input_ids": [2, *rng.integers(5, 50, 3 + i % 13).tolist(), 3], "labels": i % 2}
        for i in range(64)
    ]
    config = BertConfig(
        vocab_size=50,
        hidden_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=256,
        max_position_embeddings=32,
    )

    def make(name):
        set_seed(0)
        args = TrainingArguments(
            tmp_path / name,
            num_train_epochs=1,
            per_device_train_batch_size=16,
            num_threads=2,
            eval_strategy="epoch",
            save_strategy="no",
            disable_tqdm=True,
        )
        model = BertForSequenceClassification(config)
        return Trainer(model, args, train_dataset=rows, eval_dataset=rows[:20])

    def train(trainer):
        trainer.train()
        return trainer.evaluate()["eval_loss"]

    expected = train(make("alone"))
    first, second = make("first"), make("second")
    assert at_once(lambda: train(first), lambda: train(second)) == [expected] * 2


@pytest.mark.onednn
def test_one_model_takes_one_call_at_a_time():
    small = SmallRun("float32", 2)
    batches = [small.batch(150)] * 4
    other = small.batch(100)
    done = threading.Event()

    def train():
        found = []
        try:
            while len(found) < 4:
                try:
                    found.append(small.step(batches[len(found)]))
                except RuntimeError as error:
                    assert "in use by another thread" in str(error)
        finally:
            done.set()

    def disturb():
        while not done.wait(0.001):
            for act in (
                lambda: small.core.forward(other),
                lambda: small.core.evaluate(other, 4),
                lambda: small.core.zero_gradients(),
                lambda: setattr(small.core, "threads", 2),
                lambda: setattr(small.core, "precision", "float32"),
            ):
                try:
                    act()
                except RuntimeError as error:
                    assert "in use by another thread" in str(error)
            # Views come and go at any time.
            assert small.core.parameter(3).size and small.core.precision == "float32"
            assert small.core.has_gradients in (True, False)

    assert at_once(train, disturb) == [None] * 2
