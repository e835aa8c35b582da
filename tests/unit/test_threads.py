"""How many threads work: the step's (OpenMP's) and the tokenizer's (ftcore's own)."""

import os
import subprocess
import sys

import numpy as np
import pytest
from tokenizer_support import VOCAB

from ftcore import BertForSequenceClassification, Trainer, TrainingArguments, set_seed
from ftcore.tokenization import BertTokenizer

COUNTS = [1, 2, 4]


def rows(count=32):
    generator = np.random.default_rng(0)
    return [
        {"input_ids": [2, *generator.integers(5, 50, 3 + i % 13).tolist(), 3], "labels": i % 2}
        for i in range(count)
    ]


@pytest.fixture
def train(small_config, tmp_path):
    """Trains a model wide enough for its operations to be divided; returns it and its losses."""
    small_config.hidden_size, small_config.intermediate_size = 128, 256
    small_config.hidden_dropout_prob = 0.1

    def run(**options):
        set_seed(0)
        model = BertForSequenceClassification(small_config)
        args = TrainingArguments(
            tmp_path,
            max_steps=4,
            per_device_train_batch_size=16,
            logging_steps=1,
            disable_tqdm=True,
            save_strategy="no",
            **options,
        )
        trainer = Trainer(model, args, train_dataset=rows(), eval_dataset=rows(8))
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return trainer, [*losses, trainer.evaluate()["eval_loss"]]

    return run


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.onednn
def test_any_number_of_threads_trains_alike(train):
    _, expected = train(num_threads=1)
    for count in COUNTS:
        trainer, losses = train(num_threads=count)
        assert trainer.model.core.threads == count
        assert losses == pytest.approx(expected, rel=1e-5)


@pytest.mark.onednn
def test_any_number_of_threads_trains_alike_in_bfloat16(train, small_model):
    try:
        small_model.core.precision = "bfloat16"
    except ValueError as error:
        pytest.skip(str(error))
    _, expected = train(num_threads=1, bf16=True)
    for count in COUNTS:
        _, losses = train(num_threads=count, bf16=True)
        assert losses == pytest.approx(expected, rel=5e-3)


@pytest.mark.onednn
def test_a_forked_child_may_run_on_one_thread(train):
    trainer, _ = train(num_threads=2)  # OpenMP's threads, which the child will not have
    loss = trainer.evaluate()["eval_loss"]
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            trainer.evaluate()
        except RuntimeError as error:
            trainer.args.num_threads = 1
            same = trainer.evaluate()["eval_loss"] == pytest.approx(loss, rel=1e-5)
            failed = 0 if same and "num_threads=1" in str(error) else 2
        finally:
            os._exit(failed)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.onednn
def test_the_number_may_change_between_runs(train):
    trainer, _ = train(num_threads=2)
    loss = trainer.evaluate()["eval_loss"]
    for count in (4, 1, 3):
        trainer.args.num_threads = count
        assert trainer.evaluate()["eval_loss"] == pytest.approx(loss, rel=1e-5)
        assert trainer.model.core.threads == count
    trainer.args.num_threads = None  # leaves what is
    trainer.evaluate()
    assert trainer.model.core.threads == 3


def test_a_number_that_is_none_is_refused_before_any_work(train):
    trainer, _ = train()
    steps = trainer.optimizer.steps
    trainer.args.num_threads = 0
    with pytest.raises(ValueError, match="num_threads must be an integer from 1 to 1024"):
        trainer.train()
    assert trainer.optimizer.steps == steps


def test_the_core_refuses_what_is_no_number_of_threads(small_model):
    core = small_model.core
    before = core.threads
    for value, message in {
        0: "threads must be at least 1, got 0",
        -1: "threads must be at least 1, got -1",
        1025: "threads must be at most 1024, got 1025",
        2**31: "threads = 2147483648 is out of range",
        -(2**80): "is out of range",
    }.items():
        with pytest.raises(ValueError, match=message):
            core.threads = value
    for value in (True, 1.0, "1", None):
        with pytest.raises(TypeError, match="threads must be an integer"):
            core.threads = value
    with pytest.raises(TypeError):
        del core.threads
    assert core.threads == before


# Prints the model's threads, and how many the process has after a step that uses all of them.
STEP = """
import os
import numpy as np
from ftcore import BertConfig, BertForSequenceClassification
before = len(os.listdir("/proc/self/task"))
model = BertForSequenceClassification(BertConfig(hidden_size=128, num_hidden_layers=1,
    num_attention_heads=2, intermediate_size=256, vocab_size=50))
model(np.full((16, 20), 5), labels=np.zeros(16, int)).loss.backward()
print(model.core.threads, len(os.listdir("/proc/self/task")) - before + 1)
"""


@pytest.mark.onednn
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
@pytest.mark.parametrize("count", COUNTS)
def test_omp_num_threads_is_followed(count):
    done = run_python(STEP, OMP_NUM_THREADS=str(count))
    assert done.stdout.split() == [str(count)] * 2, done.stderr


@pytest.mark.onednn
@pytest.mark.parametrize("value", ["0", "-1", "two", "2x", "1.5", "100000"])
def test_omp_num_threads_that_is_no_number_is_refused_by_name(value):
    done = run_python(STEP, OMP_NUM_THREADS=value)
    message = f"OMP_NUM_THREADS must be a number from 1 to 1024, got '{value}'"
    assert message in done.stderr.splitlines()[-1] and "ValueError" in done.stderr


@pytest.mark.onednn
@pytest.mark.parametrize("value", ["1,2", " 1 "])
def test_of_omp_num_threads_the_first_counts(value):
    done = run_python(STEP, OMP_NUM_THREADS=value)
    assert done.stdout.split() == ["1", "1"], done.stderr


# Prints how far the products of a layer are from NumPy's.
PRODUCTS = """
import numpy as np
from ftcore import _core
backend = _core.Backend("cpu", threads=0)
rng = np.random.default_rng(0)
x, weight, dy = (rng.random(shape, np.float32) for shape in [(432, 384), (192, 384), (432, 192)])
y, _ = backend.linear_forward(x, weight, np.zeros(192, np.float32))
_, dx, dweight, _ = backend.linear_backward(dy, x, weight)
pairs = [(y, x @ weight.T), (dx, dy @ weight), (dweight, dy.T @ x)]
print(max(abs(ours / theirs - 1).max() for ours, theirs in pairs))
"""


@pytest.mark.onednn
@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_DYNAMIC": "true"},
        {"OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "4"},
        {"OMP_MAX_ACTIVE_LEVELS": "0", "OMP_NUM_THREADS": "4"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_products_are_whole_where_openmp_gives_fewer_threads(environment):
    done = run_python(PRODUCTS, **environment)
    assert float(done.stdout) < 1e-4, done.stderr


@pytest.mark.onednn
def test_more_threads_than_openmp_allows_are_refused_by_name():
    code = PRODUCTS.replace("threads=0", "threads=4")
    done = run_python(code, OMP_THREAD_LIMIT="2")
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: OpenMP allows 2 threads here, fewer than the 4 that were asked for: lower "
        "their number (num_threads=2), or raise OMP_THREAD_LIMIT"
    )


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "100000", " "])
def test_ftcore_threads_that_is_no_number_is_refused_by_name(monkeypatch, value):
    tokenizer = BertTokenizer(VOCAB)
    monkeypatch.setenv("FTCORE_THREADS", value)
    with pytest.raises(ValueError, match="FTCORE_THREADS must be a number from 1 to 256"):
        tokenizer(["the", "a"])
    monkeypatch.setenv("FTCORE_THREADS", "3")
    assert tokenizer(["the", "a"])["input_ids"]


def test_an_empty_ftcore_threads_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("FTCORE_THREADS", "")
    assert BertTokenizer(VOCAB)(["the", "a"])["input_ids"]
