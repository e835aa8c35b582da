"""Loading and saving: what transformers reads and writes, ftcore reads and writes."""

import json

import pytest
import transformers
from tokenizer_pipelines import (
    BERT_PROCESSING,
    ODD_TEMPLATE,
    PLAIN_NORMALIZER,
    odd_model,
    write_backend_folder,
)
from tokenizer_support import SPECIAL, VOCAB, assert_same

import ftcore.tokenization
from ftcore.tokenization import AutoTokenizer, BertTokenizer

TEXT = "Thé <X> un中able [MASK] hello"
NAMES = ["bert-base-uncased", "bert-base-cased", "distilbert-base-uncased", "minilm"]


def both(folder, **options):
    return (
        AutoTokenizer.from_pretrained(folder, **options),
        transformers.AutoTokenizer.from_pretrained(folder, **options),
    )


def assert_equal(ours, theirs):
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.model_max_length == theirs.model_max_length
    assert ours.padding_side == theirs.padding_side
    assert ours.truncation_side == theirs.truncation_side
    assert ours.model_input_names == theirs.model_input_names
    assert {i: str(t) for i, t in ours.added_tokens_decoder.items()} == {
        i: str(t) for i, t in theirs.added_tokens_decoder.items()
    }
    for texts in ((TEXT,), (TEXT, TEXT), ([TEXT, "a"], ["b", TEXT])):
        assert_same(ours(*texts), theirs(*texts))
    assert_same(ours([TEXT, "a"], padding=True), theirs([TEXT, "a"], padding=True))


@pytest.fixture
def folder(tmp_path):
    """A folder of a BERT with a vocab.txt alone."""
    tokens = sorted(VOCAB, key=VOCAB.__getitem__)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    return tmp_path


def write(path, **content):
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_load_alike_and_survive_saving(hub, tmp_path, name):
    ours, theirs = both(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert_equal(ours, theirs)
    paths = ours.save_pretrained(tmp_path / "saved")
    assert {p.rsplit("/", 1)[1] for p in paths} == {
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    again, theirs_again = both(str(tmp_path / "saved"))
    assert_equal(again, theirs)
    assert_equal(again, theirs_again)
    assert type(theirs_again) is type(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_reads_what_transformers_saves(hub, tmp_path, name):
    theirs = transformers.AutoTokenizer.from_pretrained(name)
    theirs.save_pretrained(tmp_path)
    assert_equal(AutoTokenizer.from_pretrained(tmp_path), theirs)


def test_padding_and_truncation_saved_in_a_file_wait_to_be_asked_for(hub):
    ours, theirs = both("minilm")
    text = "a " * 200
    assert len(ours(text)["input_ids"]) == len(theirs(text)["input_ids"]) == 202
    assert len(ours("a")["input_ids"]) == 3


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"model_max_length": 77, "padding_side": "left", "truncation_side": "left"},
        {"max_len": 55},
        {"cls_token": "[SEP]", "sep_token": "[CLS]"},
        {"mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True}},
        {"additional_special_tokens": ["<X>", "<Y>"]},
        {"extra_special_tokens": ["<X>"]},
        {"extra_special_tokens": {}, "additional_special_tokens": ["<X>"]},
        {"extra_special_tokens": {"x_token": "<X>"}},
        {"x_token": "<X>", "bos_token": "<Y>", "eos_token": None},
        {"model_max_length": 1e30},
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"tokenizer_class": "BertTokenizerFast", "never_split": None, "some_old_option": 3},
        {"tokenizer_class": "DistilBertTokenizer"},
        {
            "added_tokens_decoder": {
                "4": {"content": "[MASK]", "lstrip": True, "special": True, "normalized": False},
                "190": {"content": "<X>", "normalized": False},
            }
        },
    ],
)
def test_every_kind_of_tokenizer_config(folder, config):
    write(folder / "tokenizer_config.json", **config)
    ours, theirs = both(folder)
    assert_equal(ours, theirs)
    ours.save_pretrained(folder / "saved")
    assert_equal(*both(str(folder / "saved")))


def test_special_tokens_of_a_checkpoints_own(folder):
    write(folder / "tokenizer_config.json", x_token="<X>")
    ours, theirs = both(folder)
    assert (ours.x_token, ours.x_token_id) == (theirs.x_token, theirs.x_token_id)
    assert not hasattr(ours, "y_token")


@pytest.mark.parametrize(
    "options",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"model_max_length": 7},
        {"pad_token": "the"},
        {"extra_special_tokens": ["<X>"]},
        {"use_fast": True},
    ],
)
def test_options_override_the_config(folder, options):
    write(folder / "tokenizer_config.json", do_lower_case=True, model_max_length=50)
    assert_equal(*both(folder, **options))


def test_older_files_of_special_and_added_tokens(folder):
    write(folder / "added_tokens.json", **{"<X>": len(VOCAB), "<Y>": len(VOCAB) + 1})
    mask = {"content": "[MASK]", "lstrip": True, "normalized": True}
    write(folder / "special_tokens_map.json", mask_token=mask, sep_token="[SEP]")
    assert_equal(*both(folder))


def test_a_vocabulary_with_holes_and_odd_lines(folder):
    lines = [*SPECIAL, "the", "", "un  ", "the", "\u3000", "##able\r", "\x1c"]
    (folder / "vocab.txt").write_bytes("\n".join(lines).encode())
    ours, theirs = both(folder)
    assert_equal(ours, theirs)
    assert ours.convert_ids_to_tokens(list(range(13))) == theirs.convert_ids_to_tokens(
        list(range(13))
    )
    ours.save_pretrained(folder / "saved")
    assert_equal(AutoTokenizer.from_pretrained(folder / "saved"), theirs)


@pytest.mark.parametrize(
    "data",
    [
        "\r\n".join([*SPECIAL, "the", "##able", ""]).encode(),
        "\n".join([*SPECIAL, "the"]).encode(),
        "\n".join([*SPECIAL, "", "the", "", "\n\n"]).encode(),
        "\n".join([*SPECIAL, "the", "un", "the", "[SEP]", "un", "##able", "the"]).encode(),
        "\n".join([*SPECIAL, " the", "th e ", "\tun\t", "\x0b", "\x0c\x0c", "the"]).encode(),
        "\n".join(
            [*SPECIAL, "a\x85", "b\xa0", "c\u1680", "d\u2003", "e\u2028", "f\u3000\r"]
        ).encode(),
        "\n".join([*SPECIAL, "a\x1c", "b\x1f", "c\u200b", "d\ufeff", "e\x00", "\x00"]).encode(),
        "\n".join([*SPECIAL, "中", "文\r", "é" * 40, "😀", "##😀", "x" * 300]).encode(),
    ],
)
def test_odd_lines_of_a_vocabulary(folder, data):
    (folder / "vocab.txt").write_bytes(data)
    ours, theirs = both(folder)
    assert_equal(ours, theirs)
    assert (ours.vocab_size, len(ours)) == (theirs.vocab_size, len(theirs))
    ids = list(range(len(data.split(b"\n")) + 3))
    assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)


@pytest.fixture
def backend_folder(tmp_path):
    """A folder whose tokenizer.json is to be taken at its word."""
    write_backend_folder(tmp_path, VOCAB)
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"normalizer": None},
        {"normalizer": PLAIN_NORMALIZER},
        {"post_processor": None},
        {"post_processor": BERT_PROCESSING},
        {"post_processor": ODD_TEMPLATE},
        {"decoder": None},
        {"decoder": {"type": "WordPiece", "prefix": "a", "cleanup": False}},
        {"truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0}},
        {"model": odd_model(VOCAB)},
    ],
)
def test_a_tokenizer_json_is_taken_at_its_word(backend_folder, change):
    path = backend_folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    write(path, **{**content, **change})
    ours, theirs = both(backend_folder)
    assert isinstance(ours, ftcore.tokenization.PreTrainedTokenizerFast)
    assert_equal(ours, theirs)
    texts = ["The\x0bun\x00able hello, a 中文 " * 3, ""]
    assert_same(ours(texts), theirs(texts))
    for strategy in ("only_first", "only_second", "longest_first"):
        call = {"truncation": strategy, "max_length": 9, "return_overflowing_tokens": True}
        pair = ("the " * 9, "a") if strategy == "only_first" else ("a", "the " * 9)
        types = {"return_token_type_ids": True}
        assert_same(ours(*pair, **call, **types), theirs(*pair, **call, **types))
    ids = ours.encode(TEXT)
    assert ours.decode(ids) == theirs.decode(ids)
    ours.save_pretrained(backend_folder / "saved")
    again = transformers.AutoTokenizer.from_pretrained(backend_folder / "saved")
    assert_same(again(texts), theirs(texts))


ODD_TOKENS = [
    "",
    " ",
    "a ",
    "\n",
    '"',
    "\\",
    "\x00",
    "\x7f",
    "\u2028",
    "é",
    "中",
    "😀",
    "##😀",
    "}",
    "x" * 99,
]


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("order", ["by id", "backwards", "with holes"])
def test_a_vocabulary_in_any_form_of_json(backend_folder, ascii, indent, order):
    vocab = {token: id for id, token in enumerate([*VOCAB, *ODD_TOKENS])}
    if order == "backwards":
        vocab = dict(reversed(vocab.items()))
    elif order == "with holes":
        vocab = {**vocab, "later": 1000, "last": 70_000}
    path = backend_folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"] = vocab
    path.write_text(json.dumps(content, ensure_ascii=ascii, indent=indent), encoding="utf-8")
    ours, theirs = both(backend_folder)
    assert_equal(ours, theirs)
    assert ours.get_vocab() == {**vocab, **ours.get_added_vocab()}
    ids = [*range(len(vocab) + 2), 1000, 70_000]
    assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    ours.save_pretrained(backend_folder / "saved")
    assert_equal(AutoTokenizer.from_pretrained(backend_folder / "saved"), theirs)


@pytest.mark.parametrize(
    "vocab",
    [
        b'{"[UNK]": 0, "the": -1}',
        b'{"[UNK]": 0, "the": 1.0}',
        b'{"[UNK]": 0, "the": -0}',
        b'{"[UNK]": 0, "the": 01}',
        b'{"[UNK]": 0, "the": "1"}',
        b'{"[UNK]": 0, "the": 1,}',
        rb'{"[UNK]": 0, "\ud800": 1}',
        rb'{"[UNK]": 0, "\udc00\ud800": 1}',
        b'{"[UNK]": 0, "a\tb": 1}',
        b'{"[UNK]": 0, "\xff": 1}',
        b'{"[UNK]": 0, "the": 1',
    ],
)
def test_what_transformers_refuses_is_refused(backend_folder, vocab):
    path = backend_folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"] = "HERE"
    path.write_bytes(json.dumps(content).encode().replace(b'"HERE"', vocab))
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        AutoTokenizer.from_pretrained(backend_folder)
    with pytest.raises(Exception):  # noqa: B017  tokenizers raises nothing more special
        transformers.AutoTokenizer.from_pretrained(backend_folder)


def test_of_equal_keys_the_last_counts(backend_folder):
    path = backend_folder / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    assert '"hello": ' in text
    path.write_text(text.replace('"hello": ', '"hello": 2000, "hello": '), encoding="utf-8")
    assert_equal(*both(backend_folder))
    path.write_text(text.replace('"hello": ', r'"hel\u006co": 2000, "hello": '), encoding="utf-8")
    assert_equal(*both(backend_folder))


def test_a_hub_name_is_looked_up_in_the_cache(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    repo = cache / "models--someone--some-bert"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots").mkdir()
    (folder / "vocab.txt").rename(tmp_path / "kept.txt")
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir()
    (tmp_path / "kept.txt").rename(snapshot / "vocab.txt")
    write(snapshot / "config.json", model_type="bert")
    tokenizer = AutoTokenizer.from_pretrained(
        "someone/some-bert", cache_dir=cache, local_files_only=True
    )
    assert tokenizer.vocab == BertTokenizer(VOCAB).vocab
    with pytest.raises(OSError, match="someone/other"):
        AutoTokenizer.from_pretrained("someone/other", cache_dir=cache, local_files_only=True)
