"""What a tokenizer is made of, and reading and writing it as tokenizer.json."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ftcore import _core
from ftcore.tokenization.added_token import AddedToken

_FIRST, _SECOND = -1, -2  # the texts' places in a template, to the C core
# What Rust's trim_end takes off the end of a vocabulary's line.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

Template = tuple[tuple[str | None, int, int], ...]
"""Pieces in order: (special token or None for a text, its id or the text's place, token type)."""


def bert_templates(cls: tuple[str, int], sep: tuple[str, int]) -> tuple[Template, Template]:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP] with type 1 from B on."""
    single: Template = ((*cls, 0), (None, _FIRST, 0), (*sep, 0))
    return single, (*single, (None, _SECOND, 1), (*sep, 1))


PLAIN_TEMPLATES: tuple[Template, Template] = (
    ((None, _FIRST, 0),),
    ((None, _FIRST, 0), (None, _SECOND, 1)),
)


@dataclass
class Pipeline:
    """All that decides which ids a text becomes."""

    vocab: dict[str, int]
    unk_token: str = "[UNK]"
    prefix: str = "##"
    max_word_chars: int = 100
    clean_text: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True
    added_tokens: dict[int, AddedToken] = field(default_factory=dict)
    single: Template = PLAIN_TEMPLATES[0]
    pair: Template = PLAIN_TEMPLATES[1]
    decoder_prefix: str | None = "##"
    """None: tokens are joined by spaces."""
    decoder_cleanup: bool = True

    def add(self, tokens: Iterable[AddedToken]) -> int:
        """Adds tokens, with new ids where the vocabulary lacks them; returns how many changed."""
        count = 0
        ids = {**self.vocab, **{t.content: id for id, t in self.added_tokens.items()}}
        greatest = max(self.added_tokens, default=-1)
        next_id = greatest + 1 if greatest >= len(self.vocab) else len(self.vocab)
        for token in tokens:
            id = ids.get(token.content)
            if not token.content or (id is not None and self.added_tokens.get(id) == token):
                continue
            if id is None:
                id = ids[token.content] = next_id
                next_id += 1
            self.added_tokens[id] = token
            count += 1
        self.added_tokens = dict(sorted(self.added_tokens.items()))
        return count

    def build(self) -> _core.Tokenizer:
        """The tokenizer at work. Raises ValueError where the vocabulary lacks unk_token."""
        if self.unk_token not in self.vocab:
            raise ValueError(f"the vocabulary has no {self.unk_token!r}, the unknown token")
        strip_accents = self.lowercase if self.strip_accents is None else self.strip_accents
        return _core.Tokenizer(
            vocab=self.vocab,
            unk_id=self.vocab[self.unk_token],
            prefix=self.prefix,
            max_word_chars=self.max_word_chars,
            clean_text=self.clean_text,
            space_cjk=self.tokenize_chinese_chars,
            strip_accents=strip_accents,
            lowercase=self.lowercase,
            added_tokens=tuple(
                (t.content, id, t.single_word, t.lstrip, t.rstrip, t.normalized, t.special)
                for id, t in self.added_tokens.items()
            ),
            single=tuple(piece[1:] for piece in self.single),
            pair=tuple(piece[1:] for piece in self.pair),
        )

    def to_json(self) -> str:
        """The text of tokenizer.json."""
        names: dict[str, int] = {}

        def pieces(template: Template) -> list[dict[str, Any]]:
            out: list[dict[str, Any]] = []
            for token, id, type_id in template:
                if token is None:
                    name = "A" if id == _FIRST else "B"
                    out.append({"Sequence": {"id": name, "type_id": type_id}})
                else:
                    names[token] = id
                    out.append({"SpecialToken": {"id": token, "type_id": type_id}})
            return out

        post_processor = {
            "type": "TemplateProcessing",
            "single": pieces(self.single),
            "pair": pieces(self.pair),
            "special_tokens": {
                token: {"id": token, "ids": [id], "tokens": [token]} for token, id in names.items()
            },
        }
        decoder = {"type": "WordPiece", "prefix": self.decoder_prefix}
        decoder["cleanup"] = self.decoder_cleanup  # type: ignore[assignment]
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": id, **t.to_dict()} for id, t in self.added_tokens.items()],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": self.clean_text,
                "handle_chinese_chars": self.tokenize_chinese_chars,
                "strip_accents": self.strip_accents,
                "lowercase": self.lowercase,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": post_processor,
            "decoder": None if self.decoder_prefix is None else decoder,
            "model": {
                "type": "WordPiece",
                "unk_token": self.unk_token,
                "continuing_subword_prefix": self.prefix,
                "max_input_chars_per_word": self.max_word_chars,
                "vocab": self.vocab,
            },
        }
        return json.dumps(content, ensure_ascii=False, indent=2)


def read_vocab_txt(path: str | os.PathLike[str]) -> dict[str, int]:
    """A vocabulary of one token a line. Raises ValueError where the file is not UTF-8."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if text.split() != lines:  # there is other white space than the ends of lines
        lines = [line.rstrip(_WHITE_SPACE) for line in lines]
    return dict(zip(lines, range(len(lines)), strict=True))


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A JSON object from a file. Raises ValueError, naming the file, where it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        content = json.loads(text)
        if "\\ud" in text.lower():  # half a surrogate pair is valid JSON, but no text
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not an object")
    return content


class TokenizerJson:
    """A parsed tokenizer.json of the WordPiece family."""

    def __init__(self, content: dict[str, Any], path: str | os.PathLike[str]) -> None:
        """``path`` is where the content is from, for errors."""
        self.path = path
        self.content = content
        model = self._section("model")
        if model is None or model.get("type", "WordPiece") != "WordPiece":
            kind = model.get("type") if model else None
            raise ValueError(
                f"{path}: the model {kind!r} is not supported; ftcore reads WordPiece tokenizers"
            )
        self.model = model
        self.vocab = self._vocab(model.get("vocab"))
        self.added_tokens = self._added_tokens()

    def _section(self, name: str) -> dict[str, Any] | None:
        value = self.content.get(name)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{self.path}: {name!r} must be an object or null, got {value!r}")
        return value

    def _refuse(self, name: str, section: dict[str, Any] | None, known: str) -> None:
        kind = section.get("type") if section else None
        raise ValueError(f"{self.path}: the {name} {kind!r} is not supported; ftcore has {known}")

    def _vocab(self, vocab: Any) -> dict[str, int]:
        if isinstance(vocab, dict):
            for token, id in vocab.items():
                if not isinstance(id, int) or isinstance(id, bool) or not 0 <= id < 2**31:
                    raise ValueError(f"{self.path}: the id of {token!r} is {id!r}")
            return vocab
        raise ValueError(f"{self.path}: the model's vocab must map tokens to ids")

    def _added_tokens(self) -> list[AddedToken]:
        added = self.content.get("added_tokens") or []
        try:
            return [AddedToken.from_object(token) for token in added]
        except TypeError as error:
            raise ValueError(f"{self.path}: added_tokens: {error}") from error

    def pipeline(self) -> Pipeline:
        """The file taken at its word. Saved truncation and padding are left out: a call asks."""
        model = self.model
        pipeline = Pipeline(
            self.vocab,
            unk_token=model.get("unk_token", "[UNK]"),
            prefix=model.get("continuing_subword_prefix", "##"),
            max_word_chars=model.get("max_input_chars_per_word", 100),
        )
        if (
            not isinstance(pipeline.unk_token, str)
            or not isinstance(pipeline.prefix, str)
            or not isinstance(pipeline.max_word_chars, int)
            or not 0 <= pipeline.max_word_chars < 2**31
        ):
            raise ValueError(f"{self.path}: the model's options are not of the right types")
        self._read_normalizer(pipeline)
        pre_tokenizer = self._section("pre_tokenizer")
        if pre_tokenizer is None or pre_tokenizer.get("type") != "BertPreTokenizer":
            self._refuse("pre_tokenizer", pre_tokenizer, "BertPreTokenizer")
        self._read_decoder(pipeline)
        pipeline.add(self.added_tokens)
        pipeline.single, pipeline.pair = self._templates()
        return pipeline

    def _read_normalizer(self, pipeline: Pipeline) -> None:
        normalizer = self._section("normalizer")
        if normalizer is None:
            pipeline.clean_text = pipeline.tokenize_chinese_chars = False
            pipeline.strip_accents = pipeline.lowercase = False
            return
        if normalizer.get("type") != "BertNormalizer":
            self._refuse("normalizer", normalizer, "BertNormalizer")
        strip_accents = normalizer.get("strip_accents")
        pipeline.clean_text = bool(normalizer.get("clean_text", True))
        pipeline.tokenize_chinese_chars = bool(normalizer.get("handle_chinese_chars", True))
        pipeline.strip_accents = None if strip_accents is None else bool(strip_accents)
        pipeline.lowercase = bool(normalizer.get("lowercase", True))

    def _read_decoder(self, pipeline: Pipeline) -> None:
        decoder = self._section("decoder")
        if decoder is None:
            pipeline.decoder_prefix = None
            return
        if decoder.get("type") != "WordPiece":
            self._refuse("decoder", decoder, "WordPiece")
        pipeline.decoder_prefix = str(decoder.get("prefix", "##"))
        pipeline.decoder_cleanup = bool(decoder.get("cleanup", True))

    def _templates(self) -> tuple[Template, Template]:
        processor = self._section("post_processor")
        if processor is None:
            return PLAIN_TEMPLATES
        try:
            if processor.get("type") == "BertProcessing":
                (cls, cls_id), (sep, sep_id) = processor["cls"], processor["sep"]
                return bert_templates((str(cls), int(cls_id)), (str(sep), int(sep_id)))
            if processor.get("type") == "TemplateProcessing":
                special = processor.get("special_tokens", {})
                return (
                    self._template(processor["single"], special),
                    self._template(processor["pair"], special),
                )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(f"{self.path}: the post_processor is malformed: {error}") from error
        self._refuse("post_processor", processor, "TemplateProcessing and BertProcessing")
        raise AssertionError

    @staticmethod
    def _template(pieces: list[dict[str, Any]], special: dict[str, Any]) -> Template:
        out: list[tuple[str | None, int, int]] = []
        for piece in pieces:
            ((kind, value),) = piece.items()
            type_id = int(value.get("type_id", 0))
            if kind == "Sequence":
                out.append((None, _FIRST if value["id"] == "A" else _SECOND, type_id))
            else:
                named = special[value["id"]]
                for token, id in zip(named["tokens"], named["ids"], strict=True):
                    out.append((str(token), int(id), type_id))
        return tuple(out)
