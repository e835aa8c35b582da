"""The readers of vocab.txt and tokenizer.json, beside what Python makes of the same bytes."""

import gc
import itertools
import json
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_support import VOCAB, encode_rows

from ftcore._core import Vocabulary
from ftcore.tokenization import AddedToken, AutoTokenizer, BertTokenizer
from ftcore.tokenization.tokenizer_json import parse_tokenizer_json

EXAMPLES = settings(deadline=None, derandomize=True)
# Unicode's White_Space, which is not quite what str.isspace says.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def lines_of(data):
    """vocab.txt, as Python reads it."""
    lines = data.decode("utf-8").split("\n")
    if lines[-1] == "":
        lines.pop()
    return {line.rstrip(WHITE_SPACE): id for id, line in enumerate(lines)}


def vocab_of(data):
    """model.vocab of a tokenizer.json, as Python reads it; None where it is to be refused."""
    try:
        content = json.loads(data.decode("utf-8"))
        json.dumps(content, ensure_ascii=False).encode("utf-8")
        vocab = content["model"]["vocab"]
        good = all(type(id) is int and 0 <= id < 2**31 for id in vocab.values())
        return vocab if good and isinstance(content, dict) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_json(data):
    """model.vocab of a tokenizer.json, as ftcore reads it; None where it is refused."""
    try:
        return parse_tokenizer_json(data, "tokenizer.json").vocab.to_dict()
    except ValueError as error:
        assert "tokenizer.json" in str(error)
        return None


def assert_holds(vocabulary, ids):
    assert vocabulary.to_dict() == ids
    assert len(vocabulary) == len(ids)
    tokens = {id: token for token, id in ids.items()}
    for token, id in ids.items():
        assert token in vocabulary
        assert vocabulary[token] == vocabulary.get(token) == id
        assert vocabulary.token(id) == tokens[id]


# vocab.txt

PIECES = st.sampled_from(
    [*WHITE_SPACE, *"\n\n\n\n\x00\x1c\x1f\u200b\ufeffab", "the", "é中😀", "x" * 70]
)


@EXAMPLES
@given(st.lists(PIECES).map("".join))
def test_lines_are_those_of_python(text):
    assert_holds(Vocabulary.from_vocab_txt(text.encode()), lines_of(text.encode()))


@pytest.mark.parametrize("length", range(130))
def test_lines_end_anywhere(length):
    for data in (b"x" * length, b"x" * length + b"\n", b"\n" * length, b"x" * length + b"\r\ny"):
        assert Vocabulary.from_vocab_txt(data).to_dict() == lines_of(data)


def test_of_equal_lines_the_last_counts():
    vocabulary = Vocabulary.from_vocab_txt(b"a\nb \na\r\n\nb\n")
    assert_holds(vocabulary, {"a": 2, "b": 4, "": 3})
    assert [vocabulary.token(id) for id in range(6)] == [None, None, "a", "", "b", None]


@EXAMPLES
@given(st.binary(max_size=40))
def test_bytes_that_are_not_utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        with pytest.raises(
            ValueError, match=rf"0x{data[error.start]:02x} at position {error.start} "
        ):
            Vocabulary.from_vocab_txt(data)
    else:
        Vocabulary.from_vocab_txt(data)


@pytest.mark.parametrize(
    "bad", ["80", "c080", "c1bf", "e08080", "eda080", "edbfbf", "f0808080", "f4908080", "f5808080"]
)
@pytest.mark.parametrize("before", [0, 7, 8, 63, 64, 200])
def test_overlong_forms_surrogates_and_what_is_beyond_unicode(bad, before):
    with pytest.raises(ValueError, match=f"at position {before} "):
        Vocabulary.from_vocab_txt(b"\n" * before + bytes.fromhex(bad) + b"\nab")


def test_a_vocab_txt_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n\xe4\xb8\n")
    with pytest.raises(ValueError, match=r"vocab\.txt is not UTF-8: .* 0xe4 at position 6"):
        BertTokenizer(tmp_path / "vocab.txt")


# tokenizer.json


def document(vocab, **rest):
    """A tokenizer.json whose vocabulary is this text."""
    parts = {
        "version": "1.0",
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "vocab": "HERE"},
        **rest,
    }
    return json.dumps(parts).encode().replace(b'"HERE"', vocab)


@pytest.mark.parametrize(
    "vocab",
    [
        b"{}",
        b" {\n\t\r } ",
        b'{"a": 0}',
        b'{ "a" :\t0 ,\n"##b":2147483647\r}',
        b'{"": 1, " ": 2, "  trailing ": 3}',
        rb'{"\"\\\/\b\f\n\r\t": 5, "\u0000": 6, "\u00e9\u4e2D": 7, "\ud83d\ude00": 8}',
        '{"é": 0, "中文": 1, "😀": 2, "\x7f\u2028": 3}'.encode(),
        b'{"a": 1, "b": 2, "a": 3}',
        rb'{"a": 1, "\u0061": 3}',
        b'{"b": 7, "a": 7, "c": 0}',
        b'{"%s": 1, "%s": 2}' % (b"x" * 5000, b"y" * 16),
        b'{"}": 1, "{": 2, "]": 3, ",": 4, ":": 5}',
    ],
)
def test_a_vocabulary_in_json(vocab):
    vocabulary, start, stop = Vocabulary.from_tokenizer_json(document(vocab))
    assert document(vocab)[start:stop] == vocab.strip()
    assert_holds(vocabulary, json.loads(vocab))


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        (b'{"a": -1}', "the id of 'a' is -1, not a whole number"),
        (b'{"a": 2147483648}', "the id of 'a' is 2147483648"),
        (b'{"a": 99999999999999999999999999}', "the id of 'a' is 9999"),
        (b'{"a": 1.0}', r"the id of 'a' is 1\.0"),
        (b'{"a": 1e3}', "the id of 'a' is 1e3"),
        (b'{"a": 01}', "the id of 'a' is 01"),
        (b'{"a": -0}', "the id of 'a' is -0"),
        (b'{"a": true}', "the id of 'a' is true"),
        (b'{"a": null}', "the id of 'a' is null"),
        (b'{"a": [1]}', r"the id of 'a' is \[1"),
        (b'{"a": "b"}', "the id of 'a' is \"b\""),
        (b'{"%s": "b"}' % ("é" * 99).encode(), "the id of '" + "é" * 30 + "' is"),
        (b'{"a":}', "an id should be at byte"),
        (b'{"a" 1}', "a colon should be"),
        (b'{"a": 1 "b": 2}', "a comma"),
        (b'{"a": 1,}', "a token in quotation marks"),
        (b'{"a": 1]', "a comma, or the end"),
        (b"{a: 1}", "a token in quotation marks"),
        (rb'{"\x": 1}', "a valid escape"),
        (rb'{"\u12g4": 1}', "a valid escape"),
        (rb'{"\ud800": 1}', "half of a surrogate pair"),
        (rb'{"\ud800\u0061": 1}', "half of a surrogate pair"),
        (rb'{"\udc00\ud800": 1}', "half of a surrogate pair"),
        (b'{"a\nb": 1}', "controls being escaped"),
        (b'{"\xff": 1}', "a character in valid UTF-8"),
        (b'{"\xed\xa0\x80": 1}', "a character in valid UTF-8"),
        (b'{"%s\xc3": 1}' % (b"x" * 16), "a character in valid UTF-8"),
    ],
)
def test_what_is_wrong_with_a_vocabulary_is_said(vocab, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_tokenizer_json(document(vocab))
    with pytest.raises(ValueError, match=rf"some\.json .*model\.vocab: .*{message}"):
        parse_tokenizer_json(document(vocab), "some.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"vocab": {"a": 1}}',
        b'{"model": [{"vocab": {"a": 1}}]}',
        b'{"model": {"vocab": [1]}}',
        b'{"other": {"model": {"vocab": {"a": 1}}}}',
        b'{"model": {"other": {"vocab": {"a": 1}}}}',
        b'{"model": {"vocab": {"a": 1}}, "model": {}}',
        b'{"model": {"vocab": {"a": 1}, "vocab": null}}',
        b'{"model\\u0000": {"vocab": {"a": 1}}}',
        b'\xef\xbb\xbf{"model": {"vocab": {"a": 1}}}',
    ],
)
def test_a_document_without_a_vocabulary(data):
    assert Vocabulary.from_tokenizer_json(data) is None
    assert read_json(data) is None


@pytest.mark.parametrize(
    "data",
    [
        rb'{"m\u006fdel": {"v\u006Fcab": {"a": 1}}}',
        b'{"model": {"vocab": {"b": "c"}}, "model": {"vocab": {"a": 1}}}'.replace(b'"c"', b"2"),
        b'{"model": {"vocab": [2], "vocab": {"b": 2}, "vocab": {"a": 1}}}',
        rb'{"\"model\": {": "\\", "x": [{"model": "}]\""}, -1e5], "model": {"vocab": {"a": 1}}}',
    ],
)
def test_the_vocabulary_is_found_as_python_finds_it(data):
    assert Vocabulary.from_tokenizer_json(data)[0].to_dict() == {"a": 1} == vocab_of(data)


SMALL = document(
    rb'{"a": 0, "\u00e9": 12, "\ud83d\ude00": 3}', added_tokens=[], normalizer=None, decoder=None
)


def test_a_truncated_document_is_refused():
    assert read_json(SMALL) == {"a": 0, "é": 12, "😀": 3}
    assert all(read_json(SMALL[:length]) is None for length in range(len(SMALL)))


def test_damaged_documents_are_read_as_python_reads_them():
    rng = random.Random(1)
    for _ in range(20_000):
        data = bytearray(SMALL)
        for _ in range(rng.choice([1, 1, 2, 3])):
            at = rng.randrange(len(data))
            byte = rng.choice([*b'{}[]",:\\u01e.- tn\xc3\xa9', rng.randrange(256)])
            data[at : at + rng.choice([0, 1])] = rng.choice([b"", bytes([byte])])
        got = read_json(bytes(data))
        if got is not None:  # a document may be JSON, and no tokenizer
            assert got == vocab_of(bytes(data)), bytes(data)


@EXAMPLES
@given(
    st.dictionaries(st.text(), st.integers(0, 2**31 - 1)), st.booleans(), st.sampled_from([None, 2])
)
def test_any_vocabulary_is_read(vocab, ascii, indent):
    data = document(json.dumps(vocab, ensure_ascii=ascii, indent=indent).encode("utf-8", "replace"))
    assert Vocabulary.from_tokenizer_json(data)[0].to_dict() == vocab


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"model":'])
def test_deep_nesting_is_refused(opening):
    deep = opening * 1_000_000
    for data in (
        deep,
        b'{"x": ' + deep,
        b'{"model": {"x": ' + deep,
        b'{"model": {"vocab": ' + deep,
    ):
        assert read_json(data) is None
    closed = b"[" * 100_000 + b"]" * 100_000
    assert read_json(b'{"x": %s, "model": {"vocab": {"a": 1}}}' % closed) is None


def test_errors_beside_the_vocabulary_say_where_in_the_file_they_are():
    data = document(json.dumps({f"t{i}": i for i in range(1000)}).encode()) + b"x"
    with pytest.raises(ValueError, match=rf"Extra data: .* \(char {len(data) - 1}\)"):
        parse_tokenizer_json(data, "tokenizer.json")


def test_large_vocabularies():
    tokens = [format(i, "x") for i in range(200_000)]
    ids = {token: id for id, token in enumerate(tokens)}
    assert Vocabulary.from_vocab_txt("\n".join(tokens).encode()).to_dict() == ids
    data = document(json.dumps(dict.fromkeys(tokens, 7), separators=(",", ":")).encode())
    assert len(Vocabulary.from_tokenizer_json(data)[0]) == len(tokens)
    assert Vocabulary(ids).to_dict() == ids


# Looking up


def test_ids_in_any_order_with_holes_and_shared():
    ids = {"c": 900, "a": 3, "b": 0, "d": 3, "e": 2**31 - 1}
    vocabulary = Vocabulary(ids)
    assert vocabulary.to_dict() == ids
    looked_up = [
        vocabulary.token(id) for id in (0, 1, 3, 900, 2**31 - 1, 2**31, -1, 2**80, -(2**80))
    ]
    assert looked_up == ["b", None, "d", "c", "e", None, None, None, None]
    assert vocabulary.to_lines() is None


def test_what_is_no_token():
    vocabulary = Vocabulary({"a": 0})
    for other in ("", "b", "\ud800", 3, None, b"a"):
        assert other not in vocabulary
        assert vocabulary.get(other) is None
        with pytest.raises(KeyError):
            vocabulary[other]
    with pytest.raises(TypeError):
        vocabulary.token("a")
    empty = Vocabulary({})
    assert (len(empty), empty.get(""), empty.token(0), empty.to_lines()) == (0, None, None, "")


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ({3: 0}, TypeError, "vocabulary entry 0 must be a str, not int"),
        ({"a": 0, "\ud800": 1}, TypeError, "vocabulary entry 1 holds a lone surrogate"),
        ({"a": "0"}, TypeError, "must be an int"),
        ({"a": -1}, ValueError, "from 0 to 2147483647"),
        ({"a": 2**31}, ValueError, "from 0 to 2147483647"),
        ([("a", 0)], TypeError, "dict"),
    ],
)
def test_what_no_vocabulary_is_made_of(ids, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(ids)
    for read in (Vocabulary.from_vocab_txt, Vocabulary.from_tokenizer_json):
        with pytest.raises(TypeError):
            read("a str")


@EXAMPLES
@given(st.lists(st.text(), unique=True), st.randoms())
def test_lines_say_it_all_or_are_not_given(tokens, rng):
    ids = {token: id for id, token in enumerate(tokens)}
    shuffled = rng.sample(list(ids.items()), len(ids))
    lines = Vocabulary(dict(shuffled)).to_lines()
    if any("\n" in token for token in tokens):
        assert lines is None
    else:
        assert lines == "".join(f"{token}\n" for token in tokens)
        assert Vocabulary.from_lines(lines).to_dict() == ids


# Tokenizers


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_loading_makes_no_python_object_for_each_token(tmp_path, name):
    vocab = {**VOCAB, **{f"token{i}": len(VOCAB) + i for i in range(50_000)}}
    BertTokenizer(vocab).save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        if path.name not in (name, "tokenizer_config.json"):
            path.unlink()
    AutoTokenizer.from_pretrained(tmp_path)
    gc.collect()
    before = sys.getallocatedblocks()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer._add([AddedToken("<x>")])
    ids = tokenizer("the un [MASK] token49999")["input_ids"]
    gc.collect()
    assert sys.getallocatedblocks() - before < 5000
    assert tokenizer.vocab_size == len(vocab)
    assert ids == [
        vocab[token] for token in ("[CLS]", "the", "un", "[MASK]", "token49999", "[SEP]")
    ]


def test_a_tokenizer_keeps_its_vocabulary():
    tokenizer = BertTokenizer(VOCAB)
    core = tokenizer._core
    expected = tokenizer("the un able")["input_ids"]
    tokenizer._add([AddedToken("<x>")])
    shared = tokenizer._pipeline.vocab
    del tokenizer
    gc.collect()
    assert encode_rows(core, ["the un able"]).ids.tolist() == expected
    assert shared.to_dict() == VOCAB


def test_a_vocabulary_that_was_made_to_be_slow_is_refused():
    # Two texts of one hash; so have all texts of as many of either.
    pair = ("PYEHJNXIIVKR", "QG[YWSHWWJVO")
    tokens = ["".join(blocks) for blocks in itertools.product(pair, repeat=13)]
    with pytest.raises(ValueError, match="more than 4096 of its tokens collide"):
        Vocabulary({token: id for id, token in enumerate(tokens)})
    few = {token: id for id, token in enumerate(tokens[:1000])}
    assert Vocabulary(few).to_dict() == few
