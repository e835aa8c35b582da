"""Special and added tokens, named, set, added, used and saved, as transformers does it."""

import copy
import pickle

import pytest
import transformers
from side_by_side import made_up_pair
from tokenizer_support import VOCAB

import ftcore
from ftcore.tokenization import AddedToken, BertTokenizer
from ftcore.tokenization.special_tokens import NAMES

THE, UN = VOCAB["the"], VOCAB["un"]
SIZE = len(VOCAB)
TEXTS = ["the <p> un [MASK] qqa QQA", "un", "a  <b> c<b>", "<P> x <p>y"]


def state(t):
    """All that a tokenizer says of its special and added tokens, and does with them."""
    ids = t(TEXTS)["input_ids"]
    return {
        "named": {name: (getattr(t, name), getattr(t, f"{name}_id")) for name in NAMES},
        "map": list(t.special_tokens_map.items()),
        "extra": (t.extra_special_tokens, t.extra_special_tokens_ids),
        "all": (t.all_special_tokens, t.all_special_ids),
        "added": t.added_tokens_decoder,
        "encoder": (list(t.added_tokens_encoder.items()), list(t.get_added_vocab().items())),
        "sizes": (len(t), t.vocab_size, len(t.get_vocab())),
        "names": t.SPECIAL_TOKENS_ATTRIBUTES,
        "ids": ids,
        "texts": t.batch_decode(ids),
        "skipped": t.batch_decode(ids, skip_special_tokens=True),
        "tokens": [t.convert_ids_to_tokens(row, skip_special_tokens=True) for row in ids],
        "shown": repr(t),
    }


def test_as_loaded(pair):
    pair.assert_alike(lambda t, _: state(t))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["the", "[MASK]", None, "", 5, ["a"], b"a", {"content": "a"}])
def test_setting_a_token(pair, name, value):
    def set_it(t, _):
        setattr(t, name, value)
        return t.convert_tokens_to_ids("nowhere"), state(t)

    if name == "unk_token" and value == "":  # transformers never returns
        return
    pair.assert_alike(set_it)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"unk_token"}))
def test_setting_a_token_that_the_vocabulary_lacks(pair, name):
    def set_it(t, _):
        setattr(t, name, "<p>")
        return state(t), state(pickle.loads(pickle.dumps(t))), state(copy.deepcopy(t))

    pair.assert_alike(set_it)


def test_an_unknown_token_that_is_unknown(tokenizer):
    tokenizer.unk_token = "nowhere"
    assert tokenizer.unk_token_id is None
    assert tokenizer.convert_tokens_to_ids(["the", "elsewhere"]) == [THE, None]


@pytest.mark.parametrize("value", [THE, None, SIZE, -1, "a", "7", [THE], [[THE]], 2**32])
@pytest.mark.parametrize("name", ["bos_token_id", "pad_token_id"])
def test_setting_an_id(pair, name, value):
    def set_it(t, _):
        setattr(t, name, value)
        return state(t)

    pair.assert_alike(set_it)


@pytest.mark.parametrize(
    "value", [["the", "<p>"], ("the",), [], None, "the", {"a": "b"}, 5, ["[CLS]", "the", "the"]]
)
def test_setting_extra_special_tokens(pair, value):
    def set_it(t, _):
        t.extra_special_tokens = value
        return state(t)

    def set_ids(t, _):
        t.extra_special_tokens_ids = [UN, 0]
        return state(t)

    pair.assert_alike(set_it)
    pair.assert_alike(set_ids)


def test_extra_special_tokens_are_tokens(tokenizer):
    with pytest.raises(ValueError, match="list or tuple of tokens"):
        tokenizer.extra_special_tokens = [5]
    with pytest.raises(ValueError, match="list or tuple of tokens"):
        tokenizer.extra_special_tokens_ids = [SIZE]


@pytest.mark.parametrize(
    "name", ["nonsense", "nonsense_token", "nonsense_token_id", "additional_special_tokens"]
)
def test_what_is_no_attribute(pair, tokenizer, name):
    pair.assert_alike(lambda t, _: hasattr(t, name))
    with pytest.raises(AttributeError, match=name):
        getattr(tokenizer, name)


@pytest.mark.parametrize("value", ["the", "<p>", None, 5])
@pytest.mark.parametrize("name", ["image_token", "image_token_id"])
def test_tokens_with_names_of_their_own(tmp_path, name, value):
    pair = made_up_pair(tmp_path, {"image_token": "<b>", "audio_token": "un"})

    def set_it(t, _):
        setattr(t, name, THE if name.endswith("_id") and value == "the" else value)
        return t.image_token, t.image_token_id, t.audio_token, t.audio_token_id, state(t)

    pair.assert_alike(lambda t, _: (t.image_token, t.image_token_id, state(t)))
    pair.assert_alike(set_it)
    pair.assert_alike(lambda t, _: (t.add_special_tokens({"image_token": "<p>"}), state(t)))


# Adding

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(
    "tokens",
    [
        *["<p>", ["<p>"], ["<p>", "<b>", "<p>"], ["the"], ["[MASK]"], ["QQA"], ["a b"], ["##s"]],
        *[["é", "un the"], [" "], ["x\0y"], [], "", [""], None, ["<p>", ""]],
        *[5, [5], [None], ["<p>", None], {"<p>": 1}, {"<p>"}, [["<p>"]], [{"content": "<p>"}]],
    ],
)
def test_adding(pair, tokens, special):
    def add(t, _):
        return t.add_tokens(tokens, special_tokens=special), state(t)

    pair.assert_alike(add)


def test_nothing_is_added_where_one_is_wrong(tokenizer):
    with pytest.raises(TypeError, match="a str, an AddedToken or a list of them; got None"):
        tokenizer.add_tokens(["<p>", None])
    with pytest.raises(UnicodeEncodeError):
        tokenizer.add_tokens(["<p>", AddedToken("a", special=True), "\ud800"])
    with pytest.raises(ValueError, match="for key pad_token"):
        tokenizer.add_special_tokens({"cls_token": "<p>", "pad_token": None})
    assert len(tokenizer) == SIZE
    assert tokenizer.cls_token == "[CLS]"


def test_a_tuple_is_added_like_a_list(tokenizer):
    assert tokenizer.add_tokens(("<p>", "<b>")) == 2


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("content", ["QQA", "<p>", "un"])
@pytest.mark.parametrize("flag", [None, *FLAGS])
@pytest.mark.parametrize("value", [False, True])
def test_adding_with_flags(pair, content, flag, value, special):
    def add(t, added_token):
        token = added_token(content, **({} if flag is None else {flag: value}))
        return t.add_tokens(token, special), state(t), state(pickle.loads(pickle.dumps(t)))

    pair.assert_alike(add)


def test_the_other_library_s_tokens(pair):
    def add(t, _):
        tokens = [
            transformers.AddedToken("<p>", lstrip=True),
            transformers.AddedToken("QQA", normalized=False),
            transformers.AddedToken("<b>", special=True),
        ]
        count = t.add_tokens(tokens)
        t.add_special_tokens({"pad_token": transformers.AddedToken("<P>", single_word=True)})
        t.mask_token = transformers.AddedToken("the")
        return count, state(t)

    pair.assert_alike(add)


def test_adding_again(pair):
    def add(t, added_token):
        counts = [
            t.add_tokens(["<p>", "<b>"]),
            t.add_tokens(["<b>", "qqa"]),
            t.add_tokens(["<b>"], special_tokens=True),
            t.add_tokens([added_token("<p>", lstrip=True)]),
        ]
        return counts, state(t)

    def no_longer_special(t, _):
        return t.add_tokens("<p>", special_tokens=True), t.add_tokens("<p>"), state(t)

    pair.assert_alike(add)
    pair.assert_alike(no_longer_special)


def test_copies_grow_apart(pair):
    def grow(t, _):
        t.decode([SIZE])
        other = copy.deepcopy(t)
        other.add_tokens("<p>")
        t.add_tokens(["<b>"])
        return state(t), state(other), t.decode([SIZE]), other.decode([SIZE])

    pair.assert_alike(grow)


def test_flags_of_a_token():
    assert repr(AddedToken("x")) == repr(transformers.AddedToken("x"))
    assert repr(AddedToken("x", special=True)) == repr(transformers.AddedToken("x", special=True))
    assert AddedToken("x").with_special(True) == AddedToken.special_token("x")
    assert AddedToken("x", normalized=True).with_special(True).normalized
    with pytest.raises(TypeError, match="must be a str, not int"):
        AddedToken(5)


@pytest.mark.parametrize(
    "tokens",
    [
        *[{"pad_token": value} for value in ("<p>", "[PAD]", "the", "a<p> b", "", None, 5, ["a"])],
        *[{"cls_token": "<p>"}, {"sep_token": "<p>"}, {"mask_token": "<p>", "bos_token": "<p>"}],
        *[{"image_token": "<p>"}, {}, None, ["ab"], "ab", {"unk_token": "the"}],
        *[{"additional_special_tokens": ["<p>", "<b>"]}, {"extra_special_tokens": ("<p>", "the")}],
        *[{"extra_special_tokens": value} for value in ("<p>", [5], None, [], {"a_token": "<p>"})],
        {"extra_special_tokens": ["<p>"], "additional_special_tokens": ["<b>"]},
        {"extra_special_tokens": [], "additional_special_tokens": ["<b>"]},
        {"pad_token": "<p>", "extra_special_tokens": ["<b>"], "bos_token": "qqa"},
    ],
)
def test_adding_special_tokens(pair, tokens):
    def add(t, _):
        return t.add_special_tokens(tokens), state(t), t(TEXTS, padding=True)

    pair.assert_alike(add)


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("second", [["<b>"], ["<b>", "<p>"], [], ["<p>"]])
def test_replacing_extra_special_tokens(pair, replace, second):
    def add(t, added_token):
        t.add_special_tokens({"extra_special_tokens": [added_token("<p>", lstrip=True)]})
        count = t.add_special_tokens({"extra_special_tokens": second}, replace)
        return count, state(t)

    pair.assert_alike(add)


def test_a_wrong_key_is_named_with_the_right_ones(tokenizer):
    with pytest.raises(ValueError, match="'foo_token' .* bos_token, .* extra_special_tokens"):
        tokenizer.add_special_tokens({"foo_token": "a"})


# Saving

CHANGES = {
    "pad": lambda t, a: t.add_special_tokens({"pad_token": "<p>"}),
    "cls": lambda t, a: t.add_special_tokens({"cls_token": "<p>", "sep_token": "<b>"}),
    "bos": lambda t, a: t.add_special_tokens({"bos_token": "<p>"}),
    "extra": lambda t, a: t.add_special_tokens({"extra_special_tokens": [a("<b>", lstrip=True)]}),
    "added": lambda t, a: t.add_tokens([a("QQA", single_word=True), "<b>", a("un", rstrip=True)]),
    "no mask": lambda t, a: setattr(t, "mask_token", None),
    "another pad": lambda t, a: setattr(t, "pad_token", "the"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("loader", [ftcore, transformers])
def test_saving_and_loading(pair, tmp_path, change, loader):
    """transformers loads what either has saved, and ftcore does, to equal tokenizers."""

    def save_and_load(t, added_token):
        CHANGES[change](t, added_token)
        folder = tmp_path / type(t).__module__.partition(".")[0]
        t.save_pretrained(folder)
        loaded = loader.AutoTokenizer.from_pretrained(folder)
        loaded.name_or_path = ""
        return state(loaded)

    pair.assert_alike(save_and_load)


def test_save_options(tokenizer, tmp_path):
    def names(paths):
        return sorted(path.removeprefix(f"{tmp_path}/") for path in paths)

    everything = ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert names(tokenizer.save_pretrained(tmp_path)) == everything
    assert names(tokenizer.save_pretrained(tmp_path, legacy_format=True)) == everything
    assert names(tokenizer.save_pretrained(tmp_path, legacy_format=False)) == everything[:2]
    assert names(tokenizer.save_pretrained(tmp_path, filename_prefix="x")) == [
        f"x-{name}" for name in everything
    ]
    assert names(tokenizer.save_vocabulary(tmp_path)) == ["vocab.txt"]
    assert names(tokenizer.save_vocabulary(tmp_path, "y")) == ["y-vocab.txt"]
    assert (tmp_path / "y-vocab.txt").read_text().split("\n")[:-1] == list(VOCAB)


def test_what_cannot_be_saved(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="push_to_hub=True .*upload_folder"):
        tokenizer.save_pretrained(tmp_path / "new", push_to_hub=True)
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError):
        tokenizer.save_vocabulary(tmp_path / "new")
    gaps = BertTokenizer({token: 2 * id for token, id in VOCAB.items()})
    with pytest.raises(ValueError, match="vocab.txt cannot hold"):
        gaps.save_vocabulary(tmp_path)
    with pytest.raises(ValueError, match="vocab.txt cannot hold"):
        gaps.save_pretrained(tmp_path, legacy_format=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        tokenizer.save_pretrained(tmp_path / "file")
