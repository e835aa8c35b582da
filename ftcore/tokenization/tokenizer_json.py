"""Reading tokenizer.json."""

from __future__ import annotations

import json
import os
from typing import Any

from ftcore import _core
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.pipeline import (
    FIRST_TEXT,
    PLAIN_TEMPLATES,
    SECOND_TEXT,
    Pipeline,
    Template,
    bert_templates,
)


def parse_json(data: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    """A JSON object from a file's bytes. Raises ValueError, naming the file, where it is none."""
    try:
        text = data.decode("utf-8")
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

    def __init__(
        self, content: dict[str, Any], vocab: _core.Vocabulary | None, path: str | os.PathLike[str]
    ) -> None:
        """``vocab`` is what content holds as model.vocab, None where that is no object; ``path`` is
        where they are from, for errors."""
        self.path = path
        self.content = content
        model = self._section("model")
        if model is None or model.get("type", "WordPiece") != "WordPiece":
            kind = model.get("type") if model else None
            raise ValueError(
                f"{path}: the model {kind!r} is not supported; ftcore reads WordPiece tokenizers"
            )
        self.model = model
        if vocab is None:
            raise ValueError(f"{path}: the model's vocab must map tokens to ids")
        self.vocab = vocab
        self.added_tokens = self._added_tokens()

    def _section(self, name: str) -> dict[str, Any] | None:
        value = self.content.get(name)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{self.path}: {name!r} must be an object or null, got {value!r}")
        return value

    def _refuse(self, name: str, section: dict[str, Any] | None, known: str) -> None:
        kind = section.get("type") if section else None
        raise ValueError(f"{self.path}: the {name} {kind!r} is not supported; ftcore has {known}")

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
                out.append((None, FIRST_TEXT if value["id"] == "A" else SECOND_TEXT, type_id))
            else:
                named = special[value["id"]]
                for token, id in zip(named["tokens"], named["ids"], strict=True):
                    out.append((str(token), int(id), type_id))
        return tuple(out)


def parse_tokenizer_json(data: bytes, path: str | os.PathLike[str]) -> TokenizerJson:
    """A tokenizer.json from its bytes. Its vocabulary, most of it, never becomes Python objects.

    Raises ValueError, naming the file, where it is malformed or not of the WordPiece family.
    """
    try:
        found = _core.Vocabulary.from_tokenizer_json(data)
    except ValueError as error:
        raise ValueError(f"{path} is not a valid tokenizer: model.vocab: {error}") from error
    if found is None:
        return TokenizerJson(parse_json(data, path), None, path)
    vocab, start, stop = found
    try:
        content = parse_json(data[:start] + b"null" + data[stop:], path)
    except ValueError:
        parse_json(data, path)  # which says where in the whole file it is
        raise
    return TokenizerJson(content, vocab, path)
