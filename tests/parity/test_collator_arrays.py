"""DataCollatorWithPadding on rows of NumPy arrays and of torch tensors, equal to transformers'."""

import numpy as np
import pytest

from ftcore._core import pad_columns
from ftcore.data import DataCollatorWithPadding

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LENGTHS = [3, 9, 1, 6]


@pytest.fixture
def tokenizer(hub):
    return transformers.AutoTokenizer.from_pretrained("bert-base-uncased")


def make_rows(convert, lengths=LENGTHS):
    rng = np.random.default_rng(0)
    return [
        {
            "label": convert(i % 2),
            "input_ids": convert(rng.integers(0, 30000, length).tolist()),
            "token_type_ids": convert(rng.integers(0, 2, length).tolist()),
            "attention_mask": convert([1] * length),
        }
        for i, length in enumerate(lengths)
    ]


def assert_equal(tokenizer, rows, **options):
    theirs = transformers.DataCollatorWithPadding(tokenizer, **options)([dict(row) for row in rows])
    ours = DataCollatorWithPadding(tokenizer, **options)(rows)
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        assert type(ours[name]) is type(expected), name
        assert ours[name].dtype == expected.dtype, name
        assert ours[name].shape == expected.shape, name
        assert ours[name].tolist() == expected.tolist(), name


def read_only(values):
    array = np.array(values)
    array.flags.writeable = False
    return array


def every_other(values):
    """The values as a view of every other element of an array twice as long."""
    return np.repeat(np.array(values), 2)[::2] if np.ndim(values) else np.array(values)


def backwards(values):
    return np.array(values[::-1])[::-1] if np.ndim(values) else np.array(values)


def unaligned(values):
    data = np.array(values, np.int64).tobytes()
    return np.frombuffer(b"\0" + data, np.uint8)[1:].view(np.int64).reshape(np.shape(values))


CONVERSIONS = {
    "int64": np.array,
    "int32": lambda values: np.array(values, np.int32),
    "int16": lambda values: np.array(values, np.int16),
    "uint32": lambda values: np.array(values, np.uint32),
    "uint64": lambda values: np.array(values, np.uint64),
    "big-endian": lambda values: np.array(values, ">i8"),
    "read-only": read_only,
    "every other": every_other,
    "backwards": backwards,
    "unaligned": unaligned,
    "scalar labels": lambda values: np.array(values) if np.ndim(values) else np.int64(values),
    "tensors": torch.tensor,
    "int32 tensors": lambda values: torch.tensor(values, dtype=torch.int32),
    "int16 tensors": lambda values: torch.tensor(values, dtype=torch.int16),
    "tensors with gaps": lambda values: torch.from_numpy(every_other(values)),
    "later in a storage": lambda values: (
        torch.tensor([7, *values])[1:] if np.ndim(values) else torch.tensor([7, values])[1]
    ),
    "parameters": lambda values: torch.nn.Parameter(torch.tensor(values), requires_grad=False),
    "tensors and lists": lambda values: torch.tensor(values) if np.ndim(values) else values,
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("tensors", ["pt", "np"])
def test_kinds_of_arrays(tokenizer, convert, side, tensors):
    tokenizer.padding_side = side
    rows = make_rows(convert)
    assert_equal(tokenizer, rows, return_tensors=tensors)
    assert_equal(tokenizer, rows, return_tensors=tensors, pad_to_multiple_of=8)


@pytest.mark.parametrize("convert", [np.array, torch.tensor])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "max_length", "max_length": 12},
        {"padding": "max_length", "max_length": 10, "pad_to_multiple_of": 8},
        {"padding": "longest", "pad_to_multiple_of": 3},
    ],
)
def test_lengths(tokenizer, convert, options):
    assert_equal(tokenizer, make_rows(convert), **options)
    assert_equal(tokenizer, make_rows(convert, [4, 4]), **options)


@pytest.mark.parametrize("convert", [np.array, torch.tensor])
def test_rows_of_one_length_without_padding(tokenizer, convert):
    assert_equal(tokenizer, make_rows(convert, [5, 5, 5]), padding=False)


def test_rows_of_several_kinds(tokenizer):
    kinds = [list, np.array, torch.tensor, tuple, lambda v: np.array(v, np.int32)]
    rows = [
        {
            name: values if name == "label" else kind(values)
            for name, values in make_rows(lambda values: values, [3 + i])[0].items()
        }
        for i, kind in enumerate(kinds)
    ]
    theirs = [{name: np.asarray(v).tolist() for name, v in row.items()} for row in rows]
    expected = transformers.DataCollatorWithPadding(tokenizer)(theirs)
    batch = DataCollatorWithPadding(tokenizer)(rows)
    assert {k: v.tolist() for k, v in batch.items()} == {k: v.tolist() for k, v in expected.items()}


@pytest.mark.parametrize("convert", [list, np.array, torch.tensor])
def test_masks_of_booleans(tokenizer, convert):
    rows = [
        {"input_ids": convert([1, 2]), "attention_mask": convert([True, False])},
        {"input_ids": convert([3]), "attention_mask": convert([True])},
    ]
    assert_equal(tokenizer, rows)


@pytest.mark.parametrize(
    "empty",
    [
        np.array([], np.int64),
        np.array([], np.int32),
        np.array([]),
        torch.tensor([], dtype=torch.int64),
        torch.tensor([]),
    ],
)
@pytest.mark.parametrize("other", [[1, 2, 3], []])
def test_empty_rows(tokenizer, empty, other):
    rows = [
        {"input_ids": empty, "attention_mask": empty},
        {"input_ids": type(other)(other), "attention_mask": [1] * len(other)},
    ]
    batch = DataCollatorWithPadding(tokenizer)(rows)
    assert batch["input_ids"].tolist() == [[0] * len(other), other]
    assert batch["attention_mask"].tolist() == [[0] * len(other), [1] * len(other)]
    assert batch["input_ids"].dtype == torch.int64


def test_the_pad_token_may_change(tokenizer):
    collators = [
        make(tokenizer) for make in (DataCollatorWithPadding, transformers.DataCollatorWithPadding)
    ]

    def pads():
        rows = make_rows(torch.tensor, [2, 1])
        return [
            collator([dict(r) for r in rows])["input_ids"][1, 1].item() for collator in collators
        ]

    assert pads() == [0, 0]
    tokenizer.pad_token = "the"
    assert pads() == [1996, 1996]
    tokenizer.pad_token_id = 101
    assert pads() == [101, 101]
    tokenizer.pad_token = "[NEW]"  # unknown as yet
    assert pads() == [100, 100]
    tokenizer.add_tokens(["[NEW]"])
    assert pads() == [30522, 30522]
    tokenizer.pad_token = transformers.AddedToken("[MASK]")
    assert pads() == [103, 103]


def test_a_tokenizer_with_a_pad_token_id_of_its_own(tokenizer):
    class Own(type(tokenizer)):
        pad_token_id = 7

    rows = make_rows(np.array, [2, 1])
    own = Own.from_pretrained("bert-base-uncased")
    assert DataCollatorWithPadding(own)(rows)["input_ids"][1, 1] == 7
    tokenizer.__dict__["pad_token_id"] = 5
    assert DataCollatorWithPadding(tokenizer)(rows)["input_ids"][1, 1] == 5


def test_a_torch_without_functions_for_dlpack(tokenizer, monkeypatch):
    monkeypatch.delattr(torch.Tensor, "__dlpack_c_exchange_api__", raising=False)
    pad_columns([{"a": [1]}], "a", 0, 0, -1, 1, False, False, object)  # it forgets torch.Tensor
    assert pad_columns([{"a": [1]}], "a", 0, 0, -1, 1, False, False, torch.Tensor)[1] is False
    assert_equal(tokenizer, make_rows(torch.tensor))
    assert_equal(tokenizer, make_rows(np.array))
    pad_columns([{"a": [1]}], "a", 0, 0, -1, 1, False, False, object)
