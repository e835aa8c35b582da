"""The tokenizer against the Rust library that transformers calls, side by side in one process.

    FTCORE_TEST_DATA=... python tests/benchmarks/bench_tokenizer.py [--rounds N] [--threads N]

Each measure alternates the two sides, some calls in turn of which the quickest counts, and prints
the medians of all rounds and their ratio, which is what to read: wall times drift with the machine.
At the end what Dataset.map spends its time on, and the memory of encoded rows.
"""

import argparse
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def once(function, arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def compare(name, ours, theirs, rounds, arguments=(), size=None, repeats=3):
    """Prints one line; every round runs each side `repeats` times in turn."""
    times = [[], []]
    for round in range(rounds + 1):
        for side in (0, 1):
            function = (ours, theirs)[side]
            taken = min(once(function, arguments) for _ in range(repeats))
            if round > 0:  # the first is to warm up
                times[side].append(taken)
    mine, other = statistics.median(times[0]), statistics.median(times[1])
    rate = f"{size / mine / 1e6:8.1f} MB/s" if size else " " * 13
    print(f"{name:52} {mine * 1e3:9.3f} {other * 1e3:9.3f} ms {rate} {other / mine:7.1f}x")


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="for the measure on several threads")
    options = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)

    data = pathlib.Path(os.environ["FTCORE_TEST_DATA"]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        script = [
            sys.executable,
            str(data / "make_hub.py"),
            folder,
            "--models",
            "tiny-bert",
            "minilm",
        ]
        subprocess.run(script, check=True, capture_output=True)
        os.chdir(folder)
        measure(options)
        os.chdir("/")


def measure(options):
    import datasets
    import transformers

    import ftcore
    from ftcore._core import EncodeOptions

    name, rounds = "tiny-bert", options.rounds
    ours = ftcore.AutoTokenizer.from_pretrained(name)
    theirs = transformers.AutoTokenizer.from_pretrained(name)
    core, rust = ours._core, theirs.backend_tokenizer

    def flat(threads):
        return EncodeOptions((), threads=threads)

    rust.no_padding()
    rust.no_truncation()
    datasets.disable_progress_bars()
    train = datasets.load_dataset("glue", "mrpc", split="train")
    first, second = list(train["sentence1"]), list(train["sentence2"])
    pairs = list(zip(first, second, strict=True))
    size = sum(len(text.encode()) for text in first + second)
    words = " ".join(first + second).split()
    documents = [" ".join(words[i : i + 500]) for i in range(0, len(words) - 500, 500)]

    print(f"{processor()}, {os.cpu_count()} processors; tokenizers, transformers as installed")
    print(f"{'':52} {'ftcore':>9} {'theirs':>12} {'':13} {'ratio':>8}")

    def rust_with(threads):
        os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
        return rust.encode_batch_fast

    for threads in (1, options.threads):
        compare(
            f"MRPC train pairs to flat arrays, {threads} thread(s)",
            lambda threads=threads: core.encode(flat(threads), first, second, True),
            lambda threads=threads: rust_with(threads)(pairs),
            rounds,
            size=size,
        )
    compare(
        f"{len(documents)} documents of 500 words, 1 thread",
        lambda: core.encode(flat(1), documents, None, True),
        lambda: rust_with(1)(documents),
        rounds,
        size=sum(len(text.encode()) for text in documents),
    )
    compare(
        "tokenizer(list_a, list_b, truncation=True), lists",
        lambda: ours(first, second, truncation=True),
        lambda: theirs(first, second, truncation=True),
        rounds,
        size=size,
    )
    compare("tokenizer(text)", ours, theirs, rounds * 10, ("This is one short text.",), repeats=10)
    for checkpoint, file in ((name, "vocab.txt"), ("minilm", "tokenizer.json")):
        compare(
            f"loading the tokenizer, {file}",
            lambda checkpoint=checkpoint: ftcore.AutoTokenizer.from_pretrained(checkpoint),
            lambda checkpoint=checkpoint: transformers.AutoTokenizer.from_pretrained(checkpoint),
            rounds,
        )

    datasets.disable_caching()

    def map_with(tokenizer):
        train.map(
            lambda row: tokenizer(row["sentence1"], row["sentence2"], truncation=True),
            batched=True,
        )

    compare("Dataset.map over MRPC train", lambda: map_with(ours), lambda: map_with(theirs), rounds)
    encoded = [ours(first[i : i + 1000], second[i : i + 1000]).data for i in range(0, 3668, 1000)]

    def map_encoded():  # a fingerprint of its own: else all of `encoded` is hashed
        rows = {"batched": True, "with_indices": True, "new_fingerprint": str(time.time())}
        train.map(lambda _, indices: encoded[indices[0] // 1000], **rows)

    ready = statistics.median(once(map_encoded, ()) for _ in range(rounds))
    print(f"{'    of which Dataset.map itself, rows encoded before':52} {ready * 1e3:9.3f} ms")

    packed, lists = (
        traced(lambda: ours.encode_packed(first, second)),
        traced(lambda: theirs(first, second).data),
    )
    print(
        f"{'memory of MRPC train encoded: arrays, and lists':52} {packed / 2**20:9.2f} "
        f"{lists / 2**20:9.2f} MiB {' ' * 12} {lists / packed:7.1f}x"
    )


def traced(make):
    """The bytes that Python and NumPy hold for what make() returns."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del made
    return taken


if __name__ == "__main__":
    main()
