"""What a tokenizer is made of, and writing it as tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftcore import _core
from ftcore.tokenization.added_token import AddedToken

FIRST_TEXT, SECOND_TEXT = -1, -2  # the texts' places in a template, to the C core

Template = tuple[tuple[str | None, int, int], ...]
"""Pieces in order: (special token or None for a text, its id or the text's place, token type)."""


def bert_templates(cls: tuple[str, int], sep: tuple[str, int]) -> tuple[Template, Template]:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP] with type 1 from B on."""
    single: Template = ((*cls, 0), (None, FIRST_TEXT, 0), (*sep, 0))
    return single, (*single, (None, SECOND_TEXT, 1), (*sep, 1))


PLAIN_TEMPLATES: tuple[Template, Template] = (
    ((None, FIRST_TEXT, 0),),
    ((None, FIRST_TEXT, 0), (None, SECOND_TEXT, 1)),
)


@dataclass
class Pipeline:
    """All that decides which ids a text becomes."""

    vocab: _core.Vocabulary
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
        added = {t.content: id for id, t in self.added_tokens.items()}
        greatest = max(self.added_tokens, default=-1)
        next_id = greatest + 1 if greatest >= len(self.vocab) else len(self.vocab)
        for token in tokens:
            id = added.get(token.content)
            if id is None:
                id = self.vocab.get(token.content)
            if not token.content or (id is not None and self.added_tokens.get(id) == token):
                continue
            if id is None:
                id = next_id
                next_id += 1
            added[token.content] = id
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
        return json.dumps(self.to_object(self.vocab.to_dict()), ensure_ascii=False, indent=2)

    def to_object(self, vocab: Mapping[str, int] | None) -> dict[str, Any]:
        """The content of tokenizer.json, with this for its vocabulary."""
        names: dict[str, int] = {}

        def pieces(template: Template) -> list[dict[str, Any]]:
            out: list[dict[str, Any]] = []
            for token, id, type_id in template:
                if token is None:
                    name = "A" if id == FIRST_TEXT else "B"
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
        return {
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
                "vocab": vocab,
            },
        }
