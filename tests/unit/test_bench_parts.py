"""What the benchmark is made of: its vocabulary, its texts, its limit, its statistics."""

import os

import numpy as np
import pytest

import ftcore
from ftcore import _core
from ftcore.bench import figures, limit, machine, models, texts
from ftcore.data import read_columns

BERT_BASE = ftcore.BertConfig().core()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    words = "".join(word + "\n" for word in models.vocabulary(8000))
    (folder / "vocab.txt").write_text(words)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return ftcore.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("size", [120, 2000, 30522])
def test_a_vocabulary_has_as_many_different_entries_as_asked_for(size):
    made = models.vocabulary(size)
    assert len(made) == len(set(made)) == size
    assert made == models.vocabulary(size)


def test_a_vocabulary_without_room_for_characters_is_refused():
    with pytest.raises(ValueError, match="no room"):
        models.vocabulary(50)


def test_pairs_have_the_tokens_that_were_asked_for(tokenizer):
    rng = np.random.default_rng(0)
    lengths = texts.mrpc_lengths(500, rng)
    made = texts.make_texts(tokenizer, lengths, 2, rng)
    ids = tokenizer(made["first"], made["second"])["input_ids"]
    assert [len(row) for row in ids] == lengths.tolist()
    assert tokenizer.unk_token_id not in {word for row in ids for word in row}
    assert made["label"] == [0, 1] * 250


def test_lengths_have_the_quantiles_of_mrpc():
    lengths = texts.mrpc_lengths(3668, np.random.default_rng(0))
    for share, tokens in texts.LENGTHS:
        assert abs(np.quantile(lengths, share) - tokens) <= 1


def test_the_quantiles_are_those_of_mrpc(hub):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset("glue", "mrpc", split="train")
    tokenizer = ftcore.AutoTokenizer.from_pretrained("bert-base-uncased")
    ids = tokenizer(list(rows["sentence1"]), list(rows["sentence2"]))["input_ids"]
    found = np.quantile([len(row) for row in ids], [share for share, _ in texts.LENGTHS])
    assert found.astype(int).tolist() == [tokens for _, tokens in texts.LENGTHS]


def test_regression_gets_numbers_as_labels(tokenizer):
    made = texts.make_texts(tokenizer, np.array([9, 9, 9]), 1, np.random.default_rng(0))
    assert made["label"] == [0.0, 1.0, 0.0]
    assert all(type(label) is float for label in made["label"])


def test_the_typical_batch_is_the_median_of_those_that_are_trained_on():
    rng = np.random.default_rng(0)
    rows = [[int(word) for word in rng.integers(5, 60, length)] for length in range(1, 41)]
    found = limit.typical_batch(rows, batch_size=4, first=2, last=7)
    columns = read_columns([{"input_ids": row} for row in rows])
    order = _core.shuffled_order(40, 42)
    tokens = [len(columns.pack(order[i * 4 : i * 4 + 4]).input_ids) for i in range(2, 7)]
    assert found.tokens == sorted(tokens)[2]
    assert found.active_words == len({w for row in order[:16] for w in rows[row]})


def test_needed_operations_of_bert_base_are_six_a_weight_and_token_and_attentions():
    batch = limit.Batch([50, 70], active_words=1)
    weights = 11 * (4 * 768**2 + 2 * 768 * 3072)  # of the layers before the last
    last_of_all = 2 * 768**2  # keys and values
    last_of_first = 2 * 768**2 + 2 * 768 * 3072 + 768**2 + 2 * 768
    products = 6 * (120 * (weights + last_of_all) + 2 * last_of_first)
    attention = 12 * 768 * (11 * (50**2 + 70**2) + 120)
    assert limit.needed_flops(BERT_BASE, batch) == products + attention


@pytest.mark.parametrize("config", [ftcore.BertConfig(), ftcore.DistilBertConfig()])
def test_adamw_moves_every_parameter_but_unused_words(config):
    core = {**config.core(), "num_hidden_layers": 2, "vocab_size": 300}
    sizes = {name: np.prod(shape) for name, shape, _ in _core.Model(core).parameters()}
    words = next(name for name in sizes if "word_embeddings" in name)
    batch = limit.Batch([10], active_words=100)
    touched = sum(sizes.values()) - sizes[words] * 2 // 3
    assert limit.adamw_bytes(core, batch, "float32") == 28 * touched
    shadows = sum(
        size
        for name, size in sizes.items()
        if "layer" in name and name.endswith("weight") and size > 768
    )
    assert limit.adamw_bytes(core, batch, "bfloat16") == 28 * touched + 2 * shadows


@pytest.mark.onednn
def test_products_and_memory_are_measured_once_a_pass():
    products = limit.step_products({**BERT_BASE, "num_hidden_layers": 1}, 16, 2)
    for seconds in (
        _core.measure_products(products, "float32", 1, 3),
        _core.measure_stream(1 << 16, threads=1, passes=3),
    ):
        assert len(seconds) == 3
        assert min(seconds) > 0


@pytest.mark.onednn
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([(0, 4, 4)],), ValueError),
        (([[4, 4, 4]],), TypeError),
        (([(4, 4)],), TypeError),
        ((3,), TypeError),
        (([(4, 4, 4)], "float64"), ValueError),
        (([(4, 4, 4)], "float32", -1), ValueError),
        (([(4, 4, 4)], "float32", 1, 0), ValueError),
        (([(2**21, 4, 4)],), ValueError),
        (([(4, 4, 4)] * 5000,), ValueError),
    ],
)
def test_products_that_cannot_be_measured_are_refused(arguments, error):
    with pytest.raises(error):
        _core.measure_products(*arguments)


@pytest.mark.onednn
def test_a_stream_of_nothing_is_refused():
    with pytest.raises(ValueError, match="elements = 0"):
        _core.measure_stream(0)


@pytest.mark.onednn
def test_measurements_that_do_not_fit_in_memory_are_refused():
    available = _core.available_memory()
    if available is None:
        pytest.skip("this system does not say what memory is free")
    message = r"what the measurement needs does not fit in memory: [0-9.]+ [MG]iB are needed"
    with pytest.raises(MemoryError, match=message):
        _core.measure_stream(available // 4)
    with pytest.raises(MemoryError, match=message):
        _core.measure_products([(2**20, 2**10, 2**10)] * (available // 2**32 + 1))


def test_summaries_are_medians_and_quartiles():
    assert figures.summary([4, 1, 2, 3, 5]) == {"median": 3, "low": 2, "high": 4, "count": 5}
    assert figures.summary([7]) == {"median": 7, "low": 7, "high": 7, "count": 1}


def test_processes_are_confined_to_processors_and_let_go_again():
    before = os.sched_getaffinity(0)
    numbers = machine.processors()
    assert set(numbers) == before
    with machine.confined_to(numbers[:1]):
        assert os.sched_getaffinity(0) == {numbers[0]}
    assert os.sched_getaffinity(0) == before
