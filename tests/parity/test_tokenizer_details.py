"""Where tokens come from: offsets, words, sequences and overflow equal transformers'."""

import copy
import itertools
import pickle
import random

import pytest
from tokenizer_support import random_text

from ftcore.tokenization import BatchEncoding

TEXT = "Thé Ångström is unbelievably  long: [MASK] 中文 don't\x00 a\u0301\u0323b!"
PAIR = "One two [SEP] three\u3000four."
RAW = {"normalized": False}
FIELDS = [
    *["ids", "type_ids", "tokens", "word_ids", "sequence_ids", "offsets", "special_tokens_mask"],
    *["attention_mask", "n_sequences"],
]


@pytest.fixture(params=["bert-base-uncased", "bert-base-cased", "minilm"])
def tokenizers(request, hub):
    import transformers

    import ftcore.tokenization

    return (
        ftcore.tokenization.AutoTokenizer.from_pretrained(request.param),
        transformers.AutoTokenizer.from_pretrained(request.param),
    )


def assert_alike(ours, theirs):
    """Two BatchEncodings hold the same columns and the same encodings."""
    assert dict(ours) == dict(theirs)
    assert len(ours.encodings) == len(theirs.encodings)
    for mine, other in zip(ours.encodings, theirs.encodings, strict=True):
        for field in FIELDS:
            assert getattr(mine, field) == getattr(other, field), field


def assert_called_alike(tokenizers, *texts, **options):
    ours, theirs = tokenizers
    assert_alike(ours(*texts, **options), theirs(*texts, **options))


def test_one_text_and_a_pair(tokenizers):
    everything = {
        "return_offsets_mapping": True,
        "return_special_tokens_mask": True,
        "return_length": True,
    }
    assert_called_alike(tokenizers, TEXT, **everything)
    assert_called_alike(tokenizers, TEXT, PAIR, **everything)
    assert_called_alike(tokenizers, [TEXT, "", PAIR], [PAIR, TEXT, ""], **everything)
    assert_called_alike(tokenizers, [(TEXT, PAIR), ("a", "b")], **everything)


def test_every_row_of_mrpc(tokenizers, hub):
    import datasets

    rows = datasets.load_dataset("glue", "mrpc", split="validation")
    first, second = list(rows["sentence1"]), list(rows["sentence2"])
    assert_called_alike(tokenizers, first, second, return_offsets_mapping=True)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("stride", [0, 1, 3])
def test_overflow(tokenizers, side, strategy, stride):
    ours, theirs = tokenizers
    options = {
        "truncation": strategy,
        "stride": stride,
        "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
    }
    padding = {"padding": "max_length", "padding_side": "left"}
    ours.truncation_side = theirs.truncation_side = side
    first, second = ("a", TEXT * 3) if strategy == "only_second" else (TEXT * 3, "a")
    for length in (25, 30, 60):
        options["max_length"] = length
        assert_called_alike(tokenizers, [first, "a"], [second, "b"], **options)
        assert_called_alike(tokenizers, [first], [second], **options, **padding)
        if strategy != "only_second":
            assert_called_alike(tokenizers, first, **options)
        if strategy == "longest_first":
            assert_called_alike(tokenizers, TEXT * 3, TEXT * 2, **options)


def test_overflow_as_tensors(tokenizers):
    ours, theirs = (
        tokenizer(
            [TEXT * 3, "a"],
            truncation=True,
            max_length=20,
            padding=True,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        for tokenizer in tokenizers
    )
    assert list(ours) == list(theirs)
    for name, column in theirs.items():
        assert ours[name].dtype == column.dtype and ours[name].equal(column)


def test_texts_that_are_split_into_words(tokenizers):
    words = ["Hello", "unbelievably", "", "two words", "[SEP]", "中文", "x" * 101, "é!"]
    for texts in ((words,), (words, words[::-1]), ([words, [], ["a"]],), ([words], [["b", "c"]])):
        assert_called_alike(
            tokenizers, *texts, is_split_into_words=True, return_offsets_mapping=True
        )
    assert_called_alike(tokenizers, [(words, ["b"]), (["a"], [])], is_split_into_words=True)
    assert_called_alike(tokenizers, [], is_split_into_words=True)


def test_special_tokens_as_text(tokenizers):
    assert_called_alike(tokenizers, "a [MASK] b[SEP]", split_special_tokens=True)
    assert_called_alike(tokenizers, "a [MASK] b[SEP]")
    for tokenizer in tokenizers:
        tokenizer.split_special_tokens = True
    assert_called_alike(tokenizers, "a [MASK] b[SEP]")


def test_a_special_token_added_again_as_a_plain_one_stays_special(hub):
    both = with_added_tokens(("[SEP]", RAW))
    assert_called_alike(both, "a [SEP]", split_special_tokens=True)
    ours, theirs = (t.decode([102, 1037], skip_special_tokens=True) for t in both)
    assert ours == theirs == "a"


def test_labels_of_target_texts(tokenizers):
    ours, theirs = tokenizers
    assert dict(ours("a", text_target="b c")) == dict(theirs("a", text_target="b c"))
    assert dict(ours(text_target=["a", "b"])) == dict(theirs(text_target=["a", "b"]))


def test_marks_out_of_order_have_the_offsets_of_their_places(tokenizers):
    # Neither of the marks after the a is dropped with the accents, and NFD swaps them.
    rng = random.Random(0)
    marks = "\u302e\u302f\U0001d165\U0001d16d\u0345\u0301\u0323\u05b0\u0f71é\u0344"
    texts = ["".join(rng.choices("ab " + marks, k=12)) for _ in range(300)]
    assert_called_alike(tokenizers, texts, return_offsets_mapping=True)


def test_random_texts(tokenizers):
    rng = random.Random(7)
    for _ in range(20):
        texts = [[random_text(rng) for _ in range(10)] for _ in range(2)]
        assert_called_alike(tokenizers, *texts, return_offsets_mapping=True)


def test_looking_up_tokens_words_and_characters(tokenizers):
    ours, theirs = (tokenizer([TEXT, "a"], [PAIR, "b"]) for tokenizer in tokenizers)
    for row, place, text in itertools.product((0, 1), range(40), (0, 1)):
        for name in ("word_to_tokens", "word_to_chars", "char_to_token", "char_to_word"):
            if name == "word_to_chars" and theirs.word_to_tokens(row, place, text) is None:
                assert ours.word_to_chars(row, place, text) is None  # theirs raises a TypeError
                continue
            mine = getattr(ours, name)(row, place, text)
            assert mine == getattr(theirs, name)(row, place, text), (name, row, place, text)
        for name in ("token_to_sequence", "token_to_word", "token_to_chars"):
            assert getattr(ours, name)(row, place) == getattr(theirs, name)(row, place), name
    assert ours.token_to_chars(5) == theirs.token_to_chars(5)
    assert ours.char_to_token(6, sequence_index=1) == theirs.char_to_token(6, sequence_index=1)
    for name in ("tokens", "word_ids", "sequence_ids"):
        assert getattr(ours, name)(1) == getattr(theirs, name)(1)
    assert (ours.n_sequences, ours.is_fast) == (theirs.n_sequences, theirs.is_fast)
    assert ours[0].tokens == theirs[0].tokens
    assert [e.ids for e in ours[0:2]] == [e.ids for e in theirs[0:2]]


def with_added_tokens(*added):
    """Both tokenizers with tokens added, each given as its content and its flags."""
    import tokenizers
    import transformers

    import ftcore.tokenization

    both = []
    for library, token in (
        (ftcore.tokenization, ftcore.tokenization.AddedToken),
        (transformers, tokenizers.AddedToken),
    ):
        both.append(library.AutoTokenizer.from_pretrained("bert-base-uncased"))
        both[-1].add_tokens([token(content, **flags) for content, flags in added])
    return both


def test_added_tokens_that_take_white_space(hub):
    both = with_added_tokens(("<L>", {"lstrip": True}), ("<r>", {"rstrip": True, **RAW}))
    texts = ["a \t <l> b", "a <r>\u3000\n b<R>", "<L><r> ", " <r> <l>  <r>c"]
    assert_called_alike(both, texts, return_offsets_mapping=True)
    assert_called_alike(both, texts, texts[::-1], truncation=True, max_length=9)
    for tokenizer in both:
        tokenizer.add_tokens(["中"])  # found only where the ideograph has no space beside it
    assert_called_alike(both, ["中", "a中b", " 中 "], return_offsets_mapping=True)
    assert both[0].tokenize("a  <l> b") == both[1].tokenize("a  <l> b") == ["a", "  <l>", "b"]


def test_added_tokens_of_white_space_that_another_took(hub):
    both = with_added_tokens(
        ("<r>", {"rstrip": True, **RAW}),
        ("\t", RAW),
        (" ", {"lstrip": True, "rstrip": True, **RAW}),
    )
    texts = ["<r>\u3000\t\t b", "é <r>\t  b", "a   b", "<r>  b", " <r>\t \t<r>"]
    assert_called_alike(both, texts, return_offsets_mapping=True)


def test_offsets_of_no_tokens_as_arrays(tokenizers):
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "return_tensors": "np"}
    ours, theirs = (tokenizer(["", ""], **options) for tokenizer in tokenizers)
    assert ours["offset_mapping"].shape == theirs["offset_mapping"].shape


def test_encodings_survive_pickling_and_copying(tokenizers):
    ours, _ = tokenizers
    encoded = ours([TEXT, "a"], [PAIR, "b"], return_tensors="np", padding=True)
    for again in (pickle.loads(pickle.dumps(encoded)), copy.deepcopy(encoded)):
        assert isinstance(again, BatchEncoding)
        assert again.encodings == encoded.encodings
        assert again.input_ids.tolist() == encoded.input_ids.tolist()


def test_encodings_are_of_the_texts_as_they_were(tokenizers):
    ours, theirs = tokenizers
    texts, pairs = [TEXT, ["a", "b"]], [PAIR, "c"]
    encoded = ours([TEXT, PAIR], pairs)
    pairs[0] = "changed"
    assert encoded.tokens(0) == theirs(TEXT, PAIR).tokens()
    batch = ours([texts[1], texts[1]])
    texts[1][0] = "changed"
    assert batch.tokens(1) == theirs("a", "b").tokens()


def test_what_no_tokenizer_made_has_no_encodings():
    batch = BatchEncoding({"input_ids": [1]})
    assert (batch.encodings, batch.is_fast, batch.n_sequences) == (None, False, None)
    with pytest.raises(ValueError, match=r"word_ids\(\) is not available"):
        batch.word_ids()


def test_options_that_change_between_calls(tokenizers):
    ours, theirs = tokenizers
    assert dict(ours("a b")) == dict(theirs("a b"))
    for name, value in (
        ("model_max_length", 3),
        ("padding_side", "left"),
        ("truncation_side", "left"),
        ("model_input_names", ["input_ids"]),
    ):
        setattr(ours, name, value)
        setattr(theirs, name, value)
        for options in ({"truncation": True}, {"padding": True}, {}):
            texts = ["a b c d", "e"]
            assert dict(ours(texts, **options)) == dict(theirs(texts, **options))
    ours.model_input_names.append("attention_mask")
    assert "attention_mask" in ours("a b")
    with pytest.raises(ValueError, match="1 is not a valid PaddingStrategy"):
        ours("a", padding=1)
