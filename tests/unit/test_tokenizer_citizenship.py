"""Pickling, data sets, threads and forked processes."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref

import datasets
import pytest
from datasets.fingerprint import Hasher
from tokenizer_support import VOCAB, encode_rows

from ftcore.tokenization import BertTokenizer, DistilBertTokenizer, PreTrainedTokenizerFast

TEXTS = [f"the un able hello {'embeddings ' * (i % 7)}{i}" for i in range(5000)]


@pytest.fixture
def tokenizer():
    return BertTokenizer(VOCAB, model_max_length=64)


@pytest.mark.parametrize("cls", [BertTokenizer, DistilBertTokenizer, PreTrainedTokenizerFast])
def test_a_pickled_copy_is_equal(cls, tmp_path):
    options = {"model_max_length": 99, "padding_side": "left", "extra_special_tokens": ["<x>"]}
    if cls is PreTrainedTokenizerFast:
        BertTokenizer(VOCAB, do_lower_case=False).save_pretrained(tmp_path)
        tokenizer = cls(tmp_path / "tokenizer.json", pad_token="[PAD]", **options)
    else:
        tokenizer = cls(VOCAB, do_lower_case=False, strip_accents=True, **options)
    for restored in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert type(restored) is cls
        assert repr(restored) == repr(tokenizer)
        assert restored.vocab == tokenizer.vocab
        assert restored.added_tokens_decoder == tokenizer.added_tokens_decoder
        text = "Thé <x> un中able"
        assert restored(text, padding="max_length") == tokenizer(text, padding="max_length")


@pytest.mark.parametrize(
    "more",
    [
        {"hole": 900},
        {"hole": 900, "same id": 900},
        {"line\nfeed": len(VOCAB)},
        {"trailing ": len(VOCAB), "": len(VOCAB) + 1, "\r": len(VOCAB) + 2},
    ],
)
def test_a_pickle_holds_any_vocabulary_and_is_the_same_each_time(more):
    tokenizer = BertTokenizer({**VOCAB, **more})
    pickled = pickle.dumps(tokenizer)
    restored = pickle.loads(pickled)
    assert restored.vocab == tokenizer.vocab == {**VOCAB, **more}
    tokenizer(["the", "un"])
    other_order = BertTokenizer(dict(reversed(tokenizer.vocab.items())))
    assert pickle.dumps(tokenizer) == pickle.dumps(restored) == pickled
    if "same id" not in more:  # of such ids the order decides
        assert pickle.dumps(other_order) == pickled
    assert pickle.dumps(BertTokenizer(VOCAB)) != pickled


def test_the_hash_is_of_the_contents(tokenizer):
    before = Hasher.hash(tokenizer)
    tokenizer("the un " * 100)
    tokenizer(TEXTS[:10], padding=True, truncation=True, return_tensors="np")
    assert Hasher.hash(tokenizer) == before
    assert Hasher.hash(BertTokenizer(dict(reversed(VOCAB.items())), model_max_length=64)) == before
    assert Hasher.hash(BertTokenizer({**VOCAB, "new": 900}, model_max_length=64)) != before
    assert Hasher.hash(BertTokenizer(VOCAB, model_max_length=65)) != before
    assert Hasher.hash(BertTokenizer(VOCAB, do_lower_case=False, model_max_length=64)) != before


def test_the_hash_is_the_same_in_another_process(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    script = (
        "import sys; from datasets.fingerprint import Hasher; import ftcore.tokenization as t;"
        "print(Hasher.hash(t.BertTokenizer.from_pretrained(sys.argv[1], name_or_path='')))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("processes", [None, 2])
def test_maps_over_a_data_set(tokenizer, processes):
    tokenizer(TEXTS)  # the pool has been at work before the processes are forked
    data = datasets.Dataset.from_dict({"text": TEXTS[:1000], "other": TEXTS[1:1001]})

    def tokenize_function(example):
        return tokenizer(example["text"], example["other"], truncation=True, max_length=12)

    mapped = data.map(tokenize_function, batched=True, num_proc=processes)
    expected = tokenizer(TEXTS[:1000], TEXTS[1:1001], truncation=True, max_length=12)
    assert list(mapped["input_ids"]) == expected["input_ids"]
    assert list(mapped["token_type_ids"]) == expected["token_type_ids"]


def test_works_in_a_forked_child_after_the_pool_was_used(tokenizer):
    expected = encode_rows(tokenizer._core, TEXTS, threads=3).ids.tolist()
    child = os.fork()
    if child == 0:
        same = encode_rows(tokenizer._core, TEXTS, threads=3).ids.tolist() == expected
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert encode_rows(tokenizer._core, TEXTS, threads=3).ids.tolist() == expected


def test_python_threads_share_a_tokenizer(tokenizer):
    expected = tokenizer(TEXTS)["input_ids"]
    results = [None] * 6

    def work(i):
        results[i] = tokenizer(TEXTS)["input_ids"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == expected for result in results)


def test_importing_loads_no_other_library():
    script = (
        "import sys, ftcore.tokenization;"
        "print(*{'torch','transformers','datasets','huggingface_hub'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_texts_that_refer_to_what_they_became_can_be_collected(tokenizer):
    class Text(str):
        pass

    references = []
    for encode in (
        tokenizer,
        lambda text: tokenizer([text]),
        lambda text: tokenizer([(text, "a")]),
    ):
        text = Text("the un able")
        text.encoded = encode(text)
        references.append(weakref.ref(text))
    del text
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
