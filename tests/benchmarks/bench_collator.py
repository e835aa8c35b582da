"""Collating a batch of MRPC: ftcore against transformers, alternating, medians.

    FTCORE_TEST_DATA=... python tests/benchmarks/bench_collator.py [--batch 8] [--rounds 60]

Rows are dicts of lists of ints, as ``dataset[i]`` gives them, or of arrays or tensors, as it gives
them with_format("numpy") or "torch"; the result is torch tensors. Also shown, with no counterpart:
packing a batch from columns, which is what training does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import datasets
import numpy as np
import transformers

from ftcore.data import DataCollatorWithPadding, read_columns


def tokenized_mrpc(folder: str) -> tuple[datasets.Dataset, transformers.PreTrainedTokenizerBase]:
    script = os.path.join(os.environ["FTCORE_TEST_DATA"], "make_hub.py")
    subprocess.run(
        [sys.executable, script, folder, "--models", "bert-base-uncased"],
        check=True,
        capture_output=True,
    )
    os.chdir(folder)
    datasets.disable_progress_bars()
    tokenizer = transformers.AutoTokenizer.from_pretrained("bert-base-uncased")
    raw = datasets.load_dataset("glue", "mrpc", split="train")
    mrpc = raw.map(
        lambda rows: tokenizer(rows["sentence1"], rows["sentence2"], truncation=True), batched=True
    )
    return mrpc.remove_columns(["sentence1", "sentence2", "idx"]), tokenizer


def time_calls(function, arguments) -> float:
    """Microseconds a call, of this thread: other programs' turns would count for the slower side
    alone, whose calls take longer than a turn."""
    start = time.thread_time()
    for argument in arguments:
        function(argument)
    return (time.thread_time() - start) / len(arguments) * 1e6


def report(name: str, theirs: list[float], ours: list[float]) -> None:
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    print(
        f"{name:28} transformers {statistics.median(theirs):7.1f} µs, "
        f"ftcore {statistics.median(ours):6.1f} µs, ratio {ratio:6.1f}"
    )


def compare(name: str, batches: list, theirs, ours, rounds: int) -> None:
    """Each batch several times over, as warm as rows are that a data set has just given; then all
    of them in turn, so that rows come from memory."""
    warm = [
        (time_calls(theirs, [batch] * rounds), time_calls(ours, [batch] * rounds))
        for batch in batches
    ]
    report(name, [a for a, _ in warm], [b for _, b in warm])
    turns = [(time_calls(theirs, batches), time_calls(ours, batches)) for _ in range(rounds)]
    report(f"{name}, in turn", [a for a, _ in turns], [b for _, b in turns])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mrpc, tokenizer = tokenized_mrpc(folder)
        columns = read_columns(mrpc)
        mrpc = mrpc.select(range(min(len(mrpc), 100 * options.batch)))
        forms = {
            "lists of ints": list(mrpc),
            "NumPy arrays": list(mrpc.with_format("numpy")),
            "torch tensors": list(mrpc.with_format("torch")),
        }
        os.chdir("/")
    starts = range(0, len(mrpc), options.batch)
    theirs = transformers.DataCollatorWithPadding(tokenizer)
    ours = DataCollatorWithPadding(tokenizer)
    print(f"a batch of {options.batch}:")
    for name, rows in forms.items():
        batches = [rows[start : start + options.batch] for start in starts]
        compare(name, batches, theirs, ours, options.rounds)
    order = np.arange(len(mrpc))
    indices = [order[start : start + options.batch] for start in starts]
    packed = statistics.median(time_calls(columns.pack, indices) for _ in range(options.rounds))
    print(f"packed from columns, with no counterpart: {packed:.1f} µs")


if __name__ == "__main__":
    main()
