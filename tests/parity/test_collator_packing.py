"""What is packed from MRPC, against the padded batches that transformers collates."""

import numpy as np
import pytest

from ftcore._core import pack_padded, shuffled_order
from ftcore.data import read_columns

datasets = pytest.importorskip("datasets")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer(hub_folder):
    return transformers.AutoTokenizer.from_pretrained(str(hub_folder / "bert-base-uncased"))


@pytest.fixture(scope="module")
def mrpc(hub_folder, tokenizer):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(hub_folder)
        raw = datasets.load_dataset("glue", "mrpc", split="train")
    return raw.map(
        lambda rows: tokenizer(rows["sentence1"], rows["sentence2"], truncation=True), batched=True
    )


def assert_same_batch(ours, theirs):
    for name in ("input_ids", "token_type_ids", "position_ids", "cu_seqlens", "labels"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    assert (ours.key_starts is None) == (theirs.key_starts is None)


def test_the_columns_of_mrpc(mrpc):
    columns = read_columns(mrpc)
    assert len(columns) == 3668
    batch = columns.pack(np.arange(3668))
    assert batch.input_ids.tolist() == [i for row in mrpc["input_ids"] for i in row]
    assert batch.token_type_ids.tolist() == [i for row in mrpc["token_type_ids"] for i in row]
    assert batch.labels.tolist() == mrpc["label"][:]


@pytest.mark.parametrize("change", [lambda d: d, lambda d: d.shuffle(seed=3)])
def test_packed_rows_are_the_packed_padded_batch(mrpc, tokenizer, change):
    mrpc = change(mrpc)
    columns = read_columns(mrpc)
    collator = transformers.DataCollatorWithPadding(tokenizer)
    rows = mrpc.remove_columns(["sentence1", "sentence2", "idx"])
    for start in range(0, 256, 8):
        padded = collator([rows[i] for i in range(start, start + 8)])
        assert_same_batch(columns.pack(range(start, start + 8)), pack_padded(**padded))


def test_rows_that_are_padded_already(mrpc, tokenizer):
    padded = mrpc.select(range(32)).map(
        lambda rows: tokenizer(
            rows["sentence1"], rows["sentence2"], padding="max_length", max_length=128
        ),
        batched=True,
    )
    rows = range(32)
    assert_same_batch(read_columns(padded).pack(rows), read_columns(mrpc).pack(rows))


@pytest.mark.parametrize("seed", [0, 42, 2**32 + 7, 2**63 + 11, 2**64 - 1])
@pytest.mark.parametrize("count", [1, 2, 3668, 100_000])
def test_the_order_is_torchs(count, seed):
    generator = torch.Generator().manual_seed(seed)
    expected = torch.randperm(count, generator=generator)
    assert np.array_equal(shuffled_order(count, seed), expected.numpy())


@pytest.mark.parametrize("seed", [0, 42, 1234])
def test_the_order_is_that_of_trainers_sampler(seed):
    data_loader = pytest.importorskip("accelerate.data_loader")
    sampler = data_loader.SeedableRandomSampler(range(3668), data_seed=seed)
    for epoch in range(3):
        assert list(sampler) == shuffled_order(3668, seed + epoch).tolist()
