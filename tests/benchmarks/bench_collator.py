"""Collating a batch of MRPC: ftcore against transformers, alternating, medians.

    FTCORE_TEST_DATA=... python tests/benchmarks/bench_collator.py [--batch 8] [--rounds 30]

Rows are lists of ints in dicts, as ``dataset[i]`` gives them; the result is torch tensors. Also
shown, with no counterpart: packing a batch from columns, which is what training does.
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
    """Microseconds a call."""
    start = time.perf_counter()
    for argument in arguments:
        function(argument)
    return (time.perf_counter() - start) / len(arguments) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mrpc, tokenizer = tokenized_mrpc(folder)
        rows, columns = list(mrpc), read_columns(mrpc)
        starts = range(0, min(len(rows), 100 * options.batch), options.batch)
        batches = [rows[start : start + options.batch] for start in starts]
        indices = [
            np.arange(start, start + len(batch))
            for start, batch in zip(starts, batches, strict=True)
        ]
        os.chdir("/")
    contestants = {
        "transformers": (transformers.DataCollatorWithPadding(tokenizer), batches),
        "ftcore": (DataCollatorWithPadding(tokenizer), batches),
        "ftcore, packed from columns": (columns.pack, indices),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, (function, arguments) in contestants.items():
            times[name].append(time_calls(function, arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        ratio = statistics.median(
            a / b for a, b in zip(times["transformers"], times[name], strict=True)
        )
        print(f"{name:30} {median:8.1f} µs a batch of {options.batch}, ratio {ratio:6.1f}")


if __name__ == "__main__":
    main()
