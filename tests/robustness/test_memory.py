"""What does not fit in memory is refused before it is written to, and leaves the model whole."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ftcore import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, _core

# Many narrow layers: few weights, and activations of some 300 KB a token.
CONFIG = dict(
    vocab_size=50,
    hidden_size=64,
    num_hidden_layers=64,
    num_attention_heads=1,
    intermediate_size=256,
    max_position_embeddings=512,
)
BYTES_A_TOKEN = 300_000


def rows(count, length):
    return [{"input_ids": [2] + [5 + i % 40] * (length - 1), "labels": i % 2} for i in range(count)]


@pytest.fixture(scope="module")
def too_many():
    """A number of rows of 512 tokens whose activations no memory here can hold, by far."""
    available = _core.available_memory()
    if available is None:
        pytest.skip("this system does not say what memory is free")
    return 8 * available // BYTES_A_TOKEN // 512


@pytest.fixture
def make(tmp_path):
    def trainer(data, **options):
        model = BertForSequenceClassification(BertConfig(**CONFIG))
        args = TrainingArguments(
            tmp_path, max_steps=1, disable_tqdm=True, save_strategy="no", **options
        )
        return Trainer(model, args, train_dataset=data, eval_dataset=data)

    return trainer


def test_a_batch_that_does_not_fit_is_refused_by_its_option(make, too_many):
    data = rows(too_many, 512)
    trainer = make(data, per_device_train_batch_size=too_many, per_device_eval_batch_size=8)
    before = {name: value.copy() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(
        MemoryError,
        match=rf"a batch of {too_many} rows \({512 * too_many} tokens\) does not fit in memory: "
        r"[0-9.]+ [MG]iB are needed, [0-9.]+ [MG]iB are free: "
        r"lower per_device_train_batch_size, which "
        rf"is {too_many}, or max_length",
    ):
        trainer.train()
    assert trainer.state.global_step == trainer.optimizer.steps == 0
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    trainer.args.per_device_train_batch_size = 4
    trainer.train_dataset = trainer.eval_dataset = data[:4]
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    assert np.isfinite(trainer.train().training_loss)


# The limit on the address space is reached before memory is: mapping fails.
LIMITED = """
import resource, sys
from ftcore import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
def use(count):
    data = [{"input_ids": [2] + [5] * 511, "labels": i % 2} for i in range(count)]
    trainer.train_dataset = trainer.eval_dataset = data
    trainer.args.per_device_train_batch_size = trainer.args.per_device_eval_batch_size = count
model = BertForSequenceClassification(BertConfig(**CONFIG))
args = TrainingArguments(sys.argv[1], max_steps=1, disable_tqdm=True, save_strategy="no")
trainer = Trainer(model, args)
use(1)
trainer.train()
trainer.evaluate()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = {name: value.copy() for name, value in model.state_dict().items()}
use(256)
for work in (trainer.train, trainer.evaluate):
    try:
        work()
    except MemoryError as error:
        print("refused:", error)
assert all((value == before[name]).all() for name, value in model.state_dict().items())
use(1)
assert trainer.train().training_loss > 0 and trainer.evaluate()["eval_loss"] > 0
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="sizes are read in /proc")
@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer ends the process instead"
)
def test_memory_that_cannot_be_mapped(tmp_path):
    code = LIMITED.replace("CONFIG", repr(CONFIG))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    train, evaluate = (x for x in done.stdout.splitlines() if x.startswith("refused:"))
    for line, option in ((train, "train"), (evaluate, "eval")):
        assert "a batch of 256 rows (131072 tokens) does not fit in memory: " in line
        assert f"lower per_device_{option}_batch_size, which is 256" in line


def test_a_model_that_does_not_fit():
    sizes = {"hidden_size": 2**14, "intermediate_size": 2**16, "num_hidden_layers": 300}
    config = BertConfig(**{**CONFIG, **sizes})
    with pytest.raises(MemoryError, match="the model's parameters do not fit in memory: "):
        BertForSequenceClassification(config)


# What is available, by the files that say so.

GIB = 2**30
MEMINFO = f"MemTotal: {32 * GIB // 1024} kB\nMemFree: 5 kB\nMemAvailable: {20 * GIB // 1024} kB\n"


@pytest.fixture
def system(tmp_path):
    """Writes files of a system; returns what is available by them."""

    def available(files):
        for name, text in {"proc/meminfo": MEMINFO, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return _core.available_memory(str(tmp_path))

    return available


def test_the_machines_memory_and_swap(system):
    assert system({}) == 20 * GIB
    assert system({"proc/meminfo": MEMINFO + "SwapFree: 1024 kB\n"}) == 20 * GIB + 2**20


def test_a_system_that_does_not_say(tmp_path):
    assert _core.available_memory(str(tmp_path)) is None


def group(folder, limit, usage, stat="", v1=False):
    names = ("limit_in_bytes", "usage_in_bytes") if v1 else ("max", "current")
    return {
        f"{folder}/memory.{names[0]}": f"{limit}\n",
        f"{folder}/memory.{names[1]}": f"{usage}\n",
        f"{folder}/memory.stat": stat,
    }


def test_a_limit_of_cgroup_2_without_the_files_it_caches(system):
    stat = f"anon 1\nfile 9\ninactive_file {GIB}\nactive_file {GIB // 2}\n"
    files = group("sys/fs/cgroup/a/b", 4 * GIB, 3 * GIB, stat)
    assert system({"proc/self/cgroup": "0::/a/b\n", **files}) == 2.5 * GIB


def test_the_tightest_of_nested_groups_counts(system):
    files = {
        **group("sys/fs/cgroup/a/b", "max", GIB),
        **group("sys/fs/cgroup/a", 8 * GIB, 2 * GIB),
        **group("sys/fs/cgroup", 7 * GIB, 2 * GIB),
    }
    assert system({"proc/self/cgroup": "0::/a/b\n", **files}) == 5 * GIB


def test_a_containers_group_lies_where_it_is_mounted(system):
    files = group("sys/fs/cgroup", 3 * GIB, GIB)
    assert system({"proc/self/cgroup": "0::/docker/f00\n", **files}) == 2 * GIB


def test_a_limit_of_cgroup_1(system):
    stat = f"inactive_file 0\nactive_file 0\ntotal_inactive_file {GIB}\ntotal_active_file 0\n"
    files = group("sys/fs/cgroup/memory/a", 4 * GIB, 3 * GIB, stat, v1=True)
    unlimited = group("sys/fs/cgroup/memory", 2**63 - 4096, 9 * GIB, v1=True)
    own = "9:name=systemd:/x\n5:cpu,memory:/a\n1:memoryless:/y\n0::/\n"
    assert system({"proc/self/cgroup": own, **files, **unlimited}) == 2 * GIB


def test_a_group_beyond_its_limit_has_nothing_left(system):
    files = group("sys/fs/cgroup/a", GIB, 2 * GIB)
    assert system({"proc/self/cgroup": "0::/a\n", **files}) == 0


def test_damaged_files_say_nothing(system):
    files = group("sys/fs/cgroup/a", "much", "")
    assert system({"proc/self/cgroup": "garbage\n0:\n0::/a\n::\n", **files}) == 20 * GIB
