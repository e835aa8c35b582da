"""What every tokenizer of the WordPiece family can do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftcore import _core
from ftcore.storage import replace_file
from ftcore.tokenization import strategies
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.conversion import Conversion
from ftcore.tokenization.pipeline import Pipeline
from ftcore.tokenization.token_ids import TokenIds
from ftcore.tokenization.tokenizer_json import TokenizerJson

COMMON_OPTIONS = (
    "clean_up_tokenization_spaces",
    "extra_special_tokens",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "padding_side",
    "split_special_tokens",
    "truncation_side",
)
"""The options that every tokenizer has."""
_NO_VOCAB_TXT = (
    "vocab.txt cannot hold this vocabulary: its ids are not 0, 1, 2... or a token ends with white "
    "space; save_pretrained writes tokenizer.json, which can"
)
_RESTORED_OPTIONS = set(COMMON_OPTIONS) - {"extra_special_tokens"}


_OWN = frozenset(
    {
        *_RESTORED_OPTIONS,
        *("_special_tokens", "_extra_special_tokens", "_pipeline", "_core", "_ids"),
        *("_tokens_by_id", "_id_decoders", "_plans", "_warned_too_long"),
    }
)
"""The attributes that __reduce__ sees to."""


class WordPieceTokenizer(Conversion):
    """Turns texts into ids. Made by AutoTokenizer.from_pretrained, or by a subclass."""

    model_input_names: list[str] = ["input_ids", "token_type_ids", "attention_mask"]
    padding_side: str = "right"
    truncation_side: str = "right"
    is_fast = True

    def __init__(
        self,
        pipeline: Pipeline,
        special_tokens: Mapping[str, AddedToken],
        *,
        options: Mapping[str, Any],
        source: str = "the vocabulary",
    ) -> None:
        """``options`` are those that all tokenizers have; ``source`` names the vocabulary's file in
        errors."""
        options = dict(options)
        self.name_or_path: str = options.pop("name_or_path", "")
        self._special_tokens = dict(special_tokens)
        extra = options.pop("extra_special_tokens", None) or ()
        if not isinstance(extra, (list, tuple)):
            raise TypeError("extra_special_tokens must be a list or tuple of tokens")
        self._extra_special_tokens = [AddedToken.from_object(t, special=True) for t in extra]
        length = options.pop("model_max_length", None)
        self.model_max_length = strategies.VERY_LARGE_INTEGER if length is None else length
        if not isinstance(self.model_max_length, (int, float)) or not self.model_max_length >= 0:
            raise ValueError(f"model_max_length must be a natural number, got {length!r}")
        self.padding_side = strategies.side(
            "padding_side", options.pop("padding_side", type(self).padding_side)
        )
        self.truncation_side = strategies.side(
            "truncation_side", options.pop("truncation_side", type(self).truncation_side)
        )
        names = options.pop("model_input_names", None) or type(self).model_input_names
        if isinstance(names, str):
            raise TypeError(f"model_input_names must be a list of str, not {names!r}")
        self.model_input_names = list(names)
        self.clean_up_tokenization_spaces = bool(options.pop("clean_up_tokenization_spaces", False))
        self.split_special_tokens = bool(options.pop("split_special_tokens", False))
        if options:
            name = next(iter(options))
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
        self._pipeline = pipeline
        self._warned_too_long = False
        self._check_special_tokens(source)
        have = {token.content for token in pipeline.added_tokens.values()}
        every = [*special_tokens.values(), *self._extra_special_tokens]
        self._add([token for token in every if token.content not in have])

    def _check_special_tokens(self, source: str) -> None:
        pipeline = self._pipeline
        named = self.special_tokens_map
        needed = {pipeline.unk_token} | {
            named[name] for name in ("cls_token", "sep_token", "pad_token") if name in named
        }
        known = {token.content for token in pipeline.added_tokens.values()}
        for token in sorted(needed):
            if token not in pipeline.vocab and (token == pipeline.unk_token or token not in known):
                raise ValueError(f"{source} has no {token!r}, which the tokenizer needs")

    def _add(self, tokens: Iterable[AddedToken]) -> int:
        count = self._pipeline.add(tokens)
        self._core = self._pipeline.build()
        added = self._pipeline.added_tokens
        self._ids = TokenIds(self._pipeline.vocab, added)
        self._tokens_by_id = None
        return count

    # Saving

    def _saved_options(self) -> dict[str, Any]:
        """What tokenizer_config.json holds beside the names of the special tokens."""
        options: dict[str, Any] = {
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            "model_max_length": self.model_max_length,
            "padding_side": self.padding_side,
            # A subclass of a user's own is loaded as what it was made of.
            "tokenizer_class": next(
                cls.__name__ for cls in type(self).__mro__ if cls.__module__.startswith("ftcore.")
            ),
            "truncation_side": self.truncation_side,
        }
        if self.split_special_tokens:
            options["split_special_tokens"] = True
        if self._extra_special_tokens:
            options["extra_special_tokens"] = self.extra_special_tokens
        if self.model_input_names != type(self).model_input_names:
            options["model_input_names"] = self.model_input_names
        return options

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
        push_to_hub: bool = False,
    ) -> tuple[str, ...]:
        """Writes tokenizer.json, tokenizer_config.json and, where one can say it all, vocab.txt.

        ``legacy_format`` says whether vocab.txt has to be there (True) or must not be (False).
        With ``filename_prefix`` "x" the names are "x-tokenizer.json" and so on. Returns the paths.
        transformers loads the folder back to an equal tokenizer. Each file is replaced as a whole,
        or not at all. Raises OSError where that fails.
        """
        if push_to_hub:
            raise ValueError(
                "push_to_hub=True is not supported by ftcore; save to a folder and upload that "
                "with huggingface_hub.upload_folder"
            )
        # null where a token is not set, for a class's default would take its place.
        tokens = {name: self._special_token(name) for name in self.SPECIAL_TOKENS_ATTRIBUTES}
        config = {**self._saved_options(), **tokens}
        contents = {
            "tokenizer_config.json": json.dumps(
                config, ensure_ascii=False, indent=2, sort_keys=True
            )
            + "\n",
            "tokenizer.json": self._pipeline.to_json(),
        }
        vocab_txt = None if legacy_format is False else self._vocab_txt()
        if vocab_txt is not None:
            contents["vocab.txt"] = vocab_txt
        elif legacy_format:
            raise ValueError(_NO_VOCAB_TXT)
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, filename_prefix, contents)

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Writes vocab.txt, added tokens left out, to a folder that is there; returns its path.

        Raises ValueError where vocab.txt cannot hold the vocabulary, OSError where writing fails.
        """
        vocab_txt = self._vocab_txt()
        if vocab_txt is None:
            raise ValueError(_NO_VOCAB_TXT)
        return _write(Path(save_directory), filename_prefix, {"vocab.txt": vocab_txt})

    def _vocab_txt(self) -> str | None:
        """The text of vocab.txt, or None where that cannot hold the vocabulary."""
        lines = self._pipeline.vocab.to_lines()
        if lines is None or any(line != line.rstrip() for line in lines.split("\n")):
            return None
        return lines

    def __reduce__(self) -> Any:
        # Strings, the same whenever the contents are: datasets hashes them to find its cache.
        vocab = self._pipeline.vocab
        lines = vocab.to_lines()
        state = {
            "tokenizer": self._pipeline.to_object(vocab.to_dict() if lines is None else None),
            "options": {**self._saved_options(), "name_or_path": self.name_or_path},
            "special_tokens": [[n, t and t.to_dict()] for n, t in self._special_tokens.items()],
            "extra_special_tokens": [t.to_dict() for t in self._extra_special_tokens],
        }
        text = json.dumps(state, ensure_ascii=False, sort_keys=True)
        # What a user or a subclass has put beside it.
        further = {name: value for name, value in vars(self).items() if name not in _OWN}
        return _restore, (type(self), text, lines), further or None

    def __repr__(self) -> str:
        added = "".join(f"\n\t{id}: {t!r}," for id, t in self.added_tokens_decoder.items())
        added += "\n" if added else ""
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, "
            f"vocab_size={self.vocab_size}, model_max_length={self.model_max_length}, "
            f"padding_side={self.padding_side!r}, truncation_side={self.truncation_side!r}, "
            f"special_tokens={self.special_tokens_map}, "
            f"added_tokens_decoder={{{added}}})"
        )


def _write(folder: Path, prefix: str | None, contents: Mapping[str, str]) -> tuple[str, ...]:
    paths = []
    for name, content in contents.items():
        path = folder / (f"{prefix}-{name}" if prefix else name)
        replace_file(path, content.encode())
        paths.append(str(path))
    return tuple(paths)


def _restore(cls: type[WordPieceTokenizer], text: str, lines: str | None) -> WordPieceTokenizer:
    """Undoes __reduce__."""
    state = json.loads(text)
    content = state["tokenizer"]
    if lines is None:
        vocab = _core.Vocabulary(content["model"]["vocab"])
    else:
        vocab = _core.Vocabulary.from_lines(lines)
    tokenizer = cls.__new__(cls)
    WordPieceTokenizer.__init__(
        tokenizer,
        TokenizerJson(content, vocab, "a pickled tokenizer").pipeline(),
        {},
        options={k: v for k, v in state["options"].items() if k in _RESTORED_OPTIONS},
    )
    # Not to the constructor, which adds them to the vocabulary: not all need be in it.
    tokenizer._special_tokens = {n: t and AddedToken(**t) for n, t in state["special_tokens"]}
    tokenizer._extra_special_tokens = [AddedToken(**t) for t in state["extra_special_tokens"]]
    return tokenizer
