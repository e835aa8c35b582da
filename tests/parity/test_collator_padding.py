"""DataCollatorWithPadding and default_data_collator, equal to those of transformers on MRPC."""

import warnings

import numpy as np
import pytest

from ftcore.data import DataCollatorWithPadding, default_data_collator
from ftcore.tokenization import AutoTokenizer

datasets = pytest.importorskip("datasets")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TENSORS = ["pt", "np"]


@pytest.fixture(params=["bert-base-uncased", "distilbert-base-uncased"])
def tokenizer(hub, request):
    return transformers.AutoTokenizer.from_pretrained(request.param)


@pytest.fixture
def mrpc(hub, tokenizer):
    raw = datasets.load_dataset("glue", "mrpc", split="train[:64]")
    return raw.map(
        lambda rows: tokenizer(rows["sentence1"], rows["sentence2"], truncation=True), batched=True
    ).remove_columns(["sentence1", "sentence2", "idx"])


def assert_equal(ours, theirs):
    assert list(ours) == list(theirs)
    for name in theirs:
        assert type(ours[name]) is type(theirs[name]), name
        assert ours[name].dtype == theirs[name].dtype, name
        assert ours[name].shape == theirs[name].shape, name
        assert ours[name].tolist() == theirs[name].tolist(), name


def both(tokenizer, features, **options):
    """The batches of ftcore and of transformers, made of copies of the features."""
    collators = (
        DataCollatorWithPadding(tokenizer, **options),
        transformers.DataCollatorWithPadding(tokenizer, **options),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            collator(dict(features) if isinstance(features, dict) else list(features))
            for collator in collators
        ]


def test_the_first_eight_rows(hub):
    tokenizer = transformers.AutoTokenizer.from_pretrained("bert-base-uncased")
    raw = datasets.load_dataset("glue", "mrpc", split="train[:8]")
    rows = [
        dict(tokenizer(row["sentence1"], row["sentence2"], truncation=True), label=row["label"])
        for row in raw
    ]
    assert [len(row["input_ids"]) for row in rows] == [50, 59, 47, 67, 59, 50, 62, 32]
    batch = DataCollatorWithPadding(tokenizer=tokenizer)(rows)
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "input_ids": (8, 67),
        "token_type_ids": (8, 67),
        "attention_mask": (8, 67),
        "labels": (8,),
    }
    assert {value.dtype for value in batch.values()} == {torch.int64}


@pytest.mark.parametrize("tensors", TENSORS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pad_to_multiple_of": 8},
        {"pad_to_multiple_of": 64},
        {"padding": "longest"},
        {"padding": "max_length"},
        {"padding": "max_length", "max_length": 128},
        {"padding": "max_length", "max_length": 100, "pad_to_multiple_of": 16},
    ],
)
def test_batches_of_mrpc(mrpc, tokenizer, tensors, side, options):
    tokenizer.padding_side = side
    rows = list(mrpc)
    for start in range(0, len(rows), 8):
        batch = rows[start : start + 8]
        assert_equal(*both(tokenizer, batch, return_tensors=tensors, **options))
        columns = {name: [row[name] for row in batch] for name in batch[0]}
        assert_equal(*both(tokenizer, columns, return_tensors=tensors, **options))
    assert_equal(*both(tokenizer, mrpc[:8], return_tensors=tensors, **options))


@pytest.mark.parametrize("tensors", TENSORS)
def test_rows_of_encodings_and_of_arrays(mrpc, tokenizer, tensors):
    rows = list(mrpc.select(range(8)))
    encodings = [transformers.BatchEncoding(row) for row in rows]
    assert_equal(*both(tokenizer, encodings, return_tensors=tensors))
    for framework in ("torch", "numpy"):
        arrays = list(mrpc.with_format(framework).select(range(8)))
        assert_equal(*both(tokenizer, arrays, return_tensors=tensors))


@pytest.mark.parametrize("tensors", TENSORS)
def test_one_example(mrpc, tokenizer, tensors):
    options = {"return_tensors": tensors, "pad_to_multiple_of": 8}
    assert_equal(*both(tokenizer, mrpc.remove_columns("label")[0], **options))


@pytest.mark.parametrize("tensors", TENSORS)
def test_other_columns(tokenizer, tensors):
    texts = ["One sentence.", "Another one, which is longer.", "A third."]
    rows = [
        dict(
            tokenizer(text, return_special_tokens_mask=True),
            idx=i,
            flag=i > 1,
            weights=[i, 1, 2],
            pairs=[[0, i]],
            label_ids=i % 2,
        )
        for i, text in enumerate(texts)
    ]
    assert_equal(*both(tokenizer, rows, return_tensors=tensors))


def test_ftcores_own_tokenizer(mrpc, tokenizer):
    own = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    raw = datasets.load_dataset("glue", "mrpc", split="train[:64]")
    for side in ("right", "left"):
        own.padding_side = tokenizer.padding_side = side
        rows = [dict(own(row["sentence1"], row["sentence2"]), label=row["label"]) for row in raw]
        theirs = transformers.DataCollatorWithPadding(tokenizer)([dict(row) for row in mrpc])
        ours = DataCollatorWithPadding(own)(rows)
        assert {name: value.tolist() for name, value in ours.items()} == {
            name: value.tolist() for name, value in theirs.items()
        }


def test_rows_without_a_mask(mrpc, tokenizer):
    assert_equal(*both(tokenizer, list(mrpc.remove_columns("attention_mask"))))
    assert_equal(*both(tokenizer, list(mrpc.select_columns("input_ids"))))


def test_float_labels_are_float32_tensors(mrpc, tokenizer):
    rows = [dict(row, label=float(row["label"]) + 0.5) for row in mrpc]
    assert_equal(*both(tokenizer, rows))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda row: dict(row, sentence1="text"), {}),
        (lambda row: dict(row, tokens=["a"] * len(row["input_ids"])), {}),
        (lambda row: dict(row, position_ids=list(range(len(row["input_ids"])))), {}),
        (lambda row: {"label": 1}, {}),
        (lambda row: row, {"padding": False}),
        (lambda row: row, {"padding": "max_length", "max_length": 40}),
        (lambda row: row, {"padding": "longer"}),
    ],
)
def test_both_refuse(mrpc, tokenizer, change, options):
    rows = [change(row) for row in mrpc]
    for make in (DataCollatorWithPadding, transformers.DataCollatorWithPadding):
        with pytest.raises(ValueError):
            make(tokenizer, **options)(list(rows))


@pytest.mark.parametrize("tensors", TENSORS)
@pytest.mark.parametrize(
    "features",
    [
        [{"input_ids": [1, 2], "label": 1, "text": "a", "none": None}] * 3,
        [{"input_ids": [1, 2], "label": 0.5}] * 3,
        [{"a": [[1, 2], [3, 4]], "x": 0.5, "label_ids": [1, 2]}] * 2,
        [{"a": np.ones((2, 3), np.int32), "x": np.float32(0.5), "label_ids": [0.5]}] * 2,
        [{"flag": True, "label": np.int64(3)}] * 2,
    ],
)
def test_default_collator(tensors, features):
    if tensors == "pt" and "x" in features[0] and isinstance(features[0]["x"], np.generic):
        features = [{k: v for k, v in row.items() if k != "x"} for row in features]
    assert_equal(
        default_data_collator(features, return_tensors=tensors),
        transformers.default_data_collator(features, return_tensors=tensors),
    )


def test_default_collator_of_tensors():
    rows = [{"a": torch.ones(2, dtype=torch.int32), "label": torch.tensor(i)} for i in range(3)]
    assert_equal(default_data_collator(rows), transformers.default_data_collator(rows))
