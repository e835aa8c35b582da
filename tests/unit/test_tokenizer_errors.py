"""What is wrong is said, with the exception that transformers raises."""

import json

import pytest
from tokenizer_support import SPECIAL, VOCAB

from ftcore.tokenization import AutoTokenizer, BertTokenizer, DistilBertTokenizer


@pytest.fixture
def tokenizer():
    return BertTokenizer(VOCAB)


@pytest.fixture
def folder(tmp_path):
    tokens = sorted(VOCAB, key=VOCAB.__getitem__)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None,), ValueError, "text"),
        ((3,), ValueError, "not int"),
        ((b"the",), ValueError, "not bytes"),
        (({"a": 1},), ValueError, "not dict"),
        (([3],), ValueError, "not list"),
        ((["the", 3],), TypeError, "text 1 must be a str, not int"),
        ((["the", None],), TypeError, "text 1 must be a str, not NoneType"),
        ((["the"], [3]), ValueError, "not list"),
        ((["the", "un"], ["the", 3]), TypeError, "text_pair 1 must be a str, not int"),
        ((["the", "un"], ["the"]), ValueError, "2 does not match .* 1"),
        ((["the"], "un"), TypeError, "text_pair"),
        (("the", ["un"]), TypeError, "text_pair"),
        (([["the", "un", "able"]],), TypeError, "row 0 holds 3"),
        (([["the"]],), TypeError, "row 0 holds 1"),
        (([("the", None)],), TypeError, "the second text of row 0 .* NoneType"),
        (("ab\ud800",), TypeError, "text 0 .* lone surrogate at position 2"),
        ((["the", "\udfff"],), TypeError, "text 1 .* lone surrogate at position 0"),
        ((["the"], ["a\ud800"]), TypeError, "text_pair 0 .* position 1"),
    ],
)
def test_texts_that_are_none(tokenizer, arguments, error, message):
    with pytest.raises(error, match=message):
        tokenizer(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"paddding": True}, TypeError, "'paddding'"),
        ({"padding": "short"}, ValueError, "short is not a valid PaddingStrategy"),
        ({"truncation": "short"}, ValueError, "short is not a valid TruncationStrategy"),
        ({"return_tensors": "tf"}, ValueError, "tf is not a valid TensorType"),
        ({"padding_side": "top", "padding": True}, ValueError, "'left' or 'right'"),
        ({"max_length": 2.5}, TypeError, "max_length must be an int, not float"),
        ({"max_length": -1}, ValueError, "max_length must not be negative"),
        ({"pad_to_multiple_of": -8}, ValueError, "pad_to_multiple_of must not be negative"),
        (
            {"padding": True, "truncation": True, "max_length": 9, "pad_to_multiple_of": 8},
            ValueError,
            "9.* is not a multiple of",
        ),
        ({"truncation": "only_second", "max_length": 3}, ValueError, "no second text"),
        ({"is_split_into_words": True}, TypeError, "must be a list of words, not a str"),
        ({"stride": -4}, ValueError, "stride must not be negative"),
        ({"truncation": True, "max_length": 5, "stride": 4}, ValueError, "stride=4 must be less"),
        ({"truncation": True, "max_length": 4, "stride": 2}, ValueError, "stride=2 leaves no room"),
    ],
)
def test_options_that_cannot_be(tokenizer, options, error, message):
    with pytest.raises(error, match=message):
        tokenizer("the un able", **options)


def test_a_truncation_that_cannot_be_names_the_row(tokenizer):
    texts = ["the un able the"] * 3, ["a", "b", "c " * 20]
    with pytest.raises(ValueError, match="text 2: .*too short"):
        tokenizer(*texts, truncation="only_first", max_length=10)


@pytest.mark.parametrize("missing", ["[UNK]", "[CLS]", "[SEP]", "[PAD]"])
def test_a_vocabulary_without_a_needed_token(tmp_path, missing):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(token for token in [*SPECIAL, "the"] if token != missing))
    with pytest.raises(ValueError, match=rf"vocab\.txt has no '\[{missing[1:-1]}\]'"):
        BertTokenizer(path)
    with pytest.raises(ValueError, match=rf"vocab\.txt has no '\[{missing[1:-1]}\]'"):
        BertTokenizer.from_pretrained(tmp_path)


def test_a_vocabulary_without_a_mask_gets_one():
    vocab = {token: id for id, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the"])}
    tokenizer = BertTokenizer(vocab)
    assert (tokenizer.vocab_size, len(tokenizer), tokenizer.mask_token_id) == (5, 6, 5)
    assert tokenizer.encode("the [MASK]") == [2, 4, 5, 3]


def test_a_vocabulary_that_is_not_utf8(folder):
    (folder / "vocab.txt").write_bytes(b"[PAD]\n[UNK]\n\xff\n")
    with pytest.raises(ValueError, match="vocab.txt is not UTF-8"):
        AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("id", [-1, 2**31, 2**70])
def test_ids_out_of_range(id):
    with pytest.raises(ValueError, match="id of a vocabulary entry"):
        BertTokenizer({**VOCAB, "odd": id})


@pytest.mark.parametrize("vocab", [{**VOCAB, 3: 900}, {**VOCAB, "odd": "900"}])
def test_vocabularies_of_the_wrong_types(vocab):
    with pytest.raises(TypeError):
        BertTokenizer(vocab)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "BPE", "vocab": {}, "merges": []}}, "model 'BPE' is not supported"),
        ({"model": {"type": "Unigram", "vocab": []}}, "model 'Unigram' is not supported"),
        ({"model": None}, "model None"),
        ({"model": {"type": "WordPiece", "vocab": []}}, "vocab must map"),
        ({"model": {"type": "WordPiece", "vocab": {"a": "b"}}}, 'the id of .a. is "b"'),
        ({"normalizer": {"type": "NFKC"}}, "normalizer 'NFKC' is not supported"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer 'Whitespace'"),
        ({"pre_tokenizer": None}, "pre_tokenizer None"),
        ({"decoder": {"type": "ByteLevel"}}, "decoder 'ByteLevel'"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "'RobertaProcessing'"),
        ({"post_processor": {"type": "TemplateProcessing"}}, "post_processor is malformed"),
        ({"added_tokens": [{"id": 1}]}, "added_tokens|added tokens"),
        ({"added_tokens": [3]}, "added_tokens|added tokens"),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_refused_by_name(tmp_path, change, message):
    BertTokenizer(VOCAB).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**content, **change}))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    with pytest.raises(ValueError, match=message):
        AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "\ufffe", "[" * 100_000, '{"a": "\\uD800"}', "9" * 5000]
)
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_files_that_are_no_json_object(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=name):
        AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"model_max_length": "512"},
        {"padding_side": "top"},
        {"cls_token": 3},
        {"cls_token": {"content": 3}},
        {"added_tokens_decoder": {"one": "<x>"}},
        {"added_tokens_decoder": ["<x>"]},
    ],
)
def test_tokenizer_configs_with_the_wrong_values(folder, config):
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=next(iter(config)).split("_")[0]):
        AutoTokenizer.from_pretrained(folder)


def test_other_kinds_of_checkpoint_are_refused_by_name(folder):
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    with pytest.raises(ValueError, match="'roberta'"):
        AutoTokenizer.from_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizerFast"}')
    with pytest.raises(ValueError, match="LlamaTokenizer.* not supported"):
        AutoTokenizer.from_pretrained(folder)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(OSError, match="tokenizer.json"):
        AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(OSError, match="absent"):
        AutoTokenizer.from_pretrained(tmp_path / "absent")


@pytest.mark.parametrize("cls", [BertTokenizer, DistilBertTokenizer])
def test_options_of_a_tokenizer_that_do_not_exist(cls, folder):
    with pytest.raises(TypeError, match="'do_lower'"):
        cls(VOCAB, do_lower=True)
    with pytest.raises(TypeError, match="'do_lower'"):
        AutoTokenizer.from_pretrained(folder, do_lower=True)
    with pytest.raises(ValueError, match="do_basic_tokenize"):
        AutoTokenizer.from_pretrained(folder, do_basic_tokenize=False)
    with pytest.raises(ValueError, match="padding_side"):
        cls(VOCAB, padding_side="top")


def test_ids_that_are_no_ids(tokenizer):
    with pytest.raises(OverflowError, match="-100"):
        tokenizer.decode([2, -100])


def test_never_split_is_said_to_have_no_effect(folder, caplog):
    tokenizer = AutoTokenizer.from_pretrained(folder, never_split=["unaffable"])
    assert "never_split=['unaffable'] has no effect" in caplog.text
    assert tokenizer.tokenize("unaffable") == ["un", "##aff", "##able"]
