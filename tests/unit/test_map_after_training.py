"""A script that trains and then maps a data set in several processes: no hang, no warning, and its
second run finds what the first has cached."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from tokenizer_support import VOCAB

from ftcore.tokenization import BertTokenizer

SCRIPT = """
import sys
import datasets
import ftcore
from small_run import SmallRun

datasets.disable_progress_bars()
data = datasets.load_dataset("json", data_files=sys.argv[1], split="train")
tokenizer = ftcore.AutoTokenizer.from_pretrained(sys.argv[2])
run = SmallRun("float32", 2)
run.step(run.batch(80))  # OpenMP's threads exist now, and the tokenizer's
tokenizer(list(data["text"]) * 40)


def tokenize_function(example):
    return tokenizer(example["text"], truncation=True)


mapped = data.map(tokenize_function, batched=True, num_proc=4)
assert list(mapped["input_ids"]) == tokenizer(list(data["text"]))["input_ids"]
print(mapped._fingerprint)
run.step(run.batch(80))
"""


@pytest.fixture
def arguments(tmp_path):
    rows = ["the un able", "hello, the embedding"] * 500
    (tmp_path / "rows.json").write_text("\n".join(f'{{"text": "{row}"}}' for row in rows))
    BertTokenizer(VOCAB, model_max_length=16).save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "script.py").write_text(SCRIPT)
    return [tmp_path / name for name in ("script.py", "rows.json", "tokenizer")]


def run(arguments: list[pathlib.Path], cache: pathlib.Path) -> str:
    """The fingerprint that the script prints; the test fails on any warning."""
    tests = str(pathlib.Path(__file__).parents[1])
    path = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "HF_DATASETS_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("warn|fork|parallelism", done.stderr, re.IGNORECASE), done.stderr
    return done.stdout


def test_no_hang_no_warning_and_the_cache_is_found(arguments, tmp_path):
    first = run(arguments, tmp_path / "cache")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.arrow")}
    assert len(files) == 5  # the rows, and a file from each process
    assert run(arguments, tmp_path / "cache") == first
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.arrow")}
    assert after == files
