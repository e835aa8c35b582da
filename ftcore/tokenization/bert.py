"""The tokenizers of BERT and DistilBERT, and the one that takes tokenizer.json at its word."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from ftcore import _core
from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.files import Checkpoint, File, read_file, split_hub_options
from ftcore.tokenization.pipeline import Pipeline, bert_templates
from ftcore.tokenization.special_tokens import NAMES, named_tokens
from ftcore.tokenization.token_ids import TokenIds
from ftcore.tokenization.tokenizer_json import TokenizerJson, parse_tokenizer_json
from ftcore.tokenization.wordpiece import COMMON_OPTIONS, WordPieceTokenizer

logger = logging.getLogger("ftcore.tokenization")

_BERT_OPTIONS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
_LEGACY_OPTIONS = ("never_split", "do_basic_tokenize", "additional_special_tokens")
_BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


class _Files:
    """What a checkpoint's files say, put together as Hugging Face does."""

    def __init__(self, checkpoint: Checkpoint, given: Mapping[str, Any]) -> None:
        self.json = None
        self.vocab_txt = None
        file = checkpoint.read("tokenizer.json")
        if file is not None:
            self.json = parse_tokenizer_json(file.data, file.path)
        else:
            self.vocab_txt = checkpoint.read("vocab.txt")
        self.options = {**(checkpoint.read_json("tokenizer_config.json") or {}), **given}
        if given.get("additional_special_tokens"):  # what is given goes before what is saved
            self.options.pop("extra_special_tokens", None)
        self._rename("additional_special_tokens", "extra_special_tokens")
        self._rename("max_len", "model_max_length")
        if isinstance(self.options.get("extra_special_tokens"), dict):
            self.options.update(self.options.pop("extra_special_tokens"))
        self.added_tokens = self._added_tokens(checkpoint, given)

    def _rename(self, old: str, new: str) -> None:
        if old in self.options:
            value = self.options.pop(old)
            self.options[new] = self.options.get(new) or value

    def _added_tokens(self, checkpoint: Checkpoint, given: Mapping[str, Any]) -> list[AddedToken]:
        """The added tokens in order of their ids. Special tokens in `options` take their flags."""
        tokens: dict[int, AddedToken] = {}
        decoder = self.options.pop("added_tokens_decoder", None)
        try:
            if decoder is not None:
                tokens = {int(id): AddedToken.from_object(t) for id, t in decoder.items()}
            else:
                self._read_special_tokens_map(checkpoint, given)
                self._read_added_tokens_json(checkpoint, tokens)
                if self.json is not None:
                    ids = [token["id"] for token in self.json.content.get("added_tokens") or []]
                    tokens.update(zip(ids, self.json.added_tokens, strict=True))
            by_content = {token.content: token for token in tokens.values()}
            for name, token in named_tokens(self.options).items():
                self.options[name] = by_content.get(token.content, token)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(
                f"the added tokens of {checkpoint.name!r} are malformed: {error}"
            ) from error
        return [tokens[id] for id in sorted(tokens)]

    def _read_special_tokens_map(self, checkpoint: Checkpoint, given: Mapping[str, Any]) -> None:
        named = checkpoint.read_json("special_tokens_map.json") or {}
        for name, value in named.items():
            if name in NAMES and not given.get(name):
                self.options[name] = value

    def _read_added_tokens_json(
        self, checkpoint: Checkpoint, tokens: dict[int, AddedToken]
    ) -> None:
        added = checkpoint.read_json("added_tokens.json")
        if added is None:
            return
        special = {str(self.options[name]) for name in NAMES if self.options.get(name)}
        special.update(str(token) for token in self.options.get("extra_special_tokens") or ())
        for content, id in added.items():
            tokens[int(id)] = AddedToken.from_object(content, special=content in special)

    def vocab(self) -> tuple[_core.Vocabulary, str] | None:
        """The vocabulary and the name of its file; None where there is no such file."""
        if self.json is not None:
            return self.json.vocab, str(self.json.path)
        return (
            None
            if self.vocab_txt is None
            else (_parse_vocab_txt(self.vocab_txt), self.vocab_txt.path)
        )


def _parse_vocab_txt(file: File) -> _core.Vocabulary:
    """A vocabulary of one token a line. Raises ValueError where the file is not UTF-8."""
    try:
        return _core.Vocabulary.from_vocab_txt(file.data)
    except ValueError as error:
        raise ValueError(f"{file.path} is not UTF-8: {error}") from error


def _check_given(cls: type, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name, value in options.items():
        if name == "do_basic_tokenize" and value is not None and not value:
            raise ValueError(
                f"do_basic_tokenize={value!r} is not supported: text is always split at white "
                "space and punctuation; pass words with is_split_into_words=True"
            )
        if name == "never_split" and value:
            logger.warning(
                "never_split=%r has no effect, as in transformers: to keep words whole, add them "
                "as tokens with add_tokens",
                value,
            )
        elif name not in (*known, *_LEGACY_OPTIONS):
            raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {name!r}")


def _with_present_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of which additional_special_tokens has its name of today."""
    options = dict(options)
    extra = options.pop("additional_special_tokens", None)
    return {"extra_special_tokens": extra, **options} if extra else options


class BertTokenizer(WordPieceTokenizer):
    """BERT's tokenizer: cleaning, optional lower case, punctuation split off, WordPiece.

    ``vocab`` is a mapping of tokens to ids, or the path of a vocab.txt, which may also be given as
    ``vocab_file``. Other keyword arguments are
    the special tokens' names, ``model_max_length``, ``padding_side``, ``truncation_side``,
    ``model_input_names``, ``extra_special_tokens`` and ``clean_up_tokenization_spaces``.

    Raises ValueError where the vocabulary lacks the unknown token, [CLS], [SEP] or [PAD].
    """

    def __init__(
        self,
        vocab: Mapping[str, int] | str | os.PathLike[str] | None = None,
        do_lower_case: bool = True,
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        vocab_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        _check_given(type(self), options, (*COMMON_OPTIONS, *NAMES))
        options = _with_present_names(options)
        vocab = vocab_file if vocab is None else vocab
        if vocab is None:
            raise TypeError(f"{type(self).__name__}() needs a vocab, or use from_pretrained()")
        if isinstance(vocab, Mapping):
            source, made = "the vocabulary", _core.Vocabulary(dict(vocab))
        else:
            source, made = os.fspath(vocab), _parse_vocab_txt(read_file(vocab))
        self._setup(
            made,
            source,
            [],
            {
                "do_lower_case": do_lower_case,
                "tokenize_chinese_chars": tokenize_chinese_chars,
                "strip_accents": strip_accents,
                **options,
            },
        )

    def _setup(
        self,
        vocab: _core.Vocabulary,
        source: str,
        added_tokens: list[AddedToken],
        options: Mapping[str, Any],
    ) -> None:
        special = named_tokens({**_BERT_TOKENS, **options})
        for name in ("unk_token", "cls_token", "sep_token"):
            if name not in special:
                raise ValueError(f"a BERT tokenizer cannot do without its {name}")
        strip_accents = options.get("strip_accents")
        pipeline = Pipeline(
            vocab,
            unk_token=special["unk_token"].content,
            lowercase=bool(options.get("do_lower_case", True)),
            tokenize_chinese_chars=bool(options.get("tokenize_chinese_chars", True)),
            strip_accents=None if strip_accents is None else bool(strip_accents),
        )
        pipeline.add(added_tokens)
        ids = TokenIds(vocab, pipeline.added_tokens)
        for name in ("unk_token", "cls_token", "sep_token", "pad_token"):
            token = special.get(name)
            if token is not None and ids.get(token.content) is None:
                raise ValueError(
                    f"{source} has no {token.content!r}, which is the tokenizer's {name}"
                )
        cls, sep = special["cls_token"].content, special["sep_token"].content
        pipeline.single, pipeline.pair = bert_templates((cls, ids[cls]), (sep, ids[sep]))
        super().__init__(
            pipeline,
            special,
            options={k: v for k, v in options.items() if k in COMMON_OPTIONS},
            source=source,
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> BertTokenizer:
        """Loads tokenizer.json or vocab.txt, with tokenizer_config.json, from a folder or the hub.

        ``options`` override the checkpoint's, or say where it is: ``cache_dir``,
        ``force_download``, ``local_files_only``, ``revision``, ``subfolder``, ``token``. Raises
        OSError where files are missing, ValueError where they are malformed or not WordPiece.
        """
        hub, given = split_hub_options(options)
        return cls._load(Checkpoint(pretrained_model_name_or_path, hub), given)

    @classmethod
    def _load(cls, checkpoint: Checkpoint, given: Mapping[str, Any]) -> BertTokenizer:
        _check_given(cls, given, (*COMMON_OPTIONS, *_BERT_OPTIONS, *NAMES))
        files = _Files(checkpoint, given)
        found = files.vocab()
        if found is None:
            raise checkpoint.missing("tokenizer.json", "vocab.txt")
        tokenizer = cls.__new__(cls)
        tokenizer._setup(
            *found,
            files.added_tokens,
            {**files.options, "name_or_path": checkpoint.name},
        )
        return tokenizer

    @property
    def do_lower_case(self) -> bool:
        """Whether text is put in lower case."""
        return self._pipeline.lowercase

    @property
    def strip_accents(self) -> bool | None:
        """Whether accents are dropped; None: where text is put in lower case."""
        return self._pipeline.strip_accents

    @property
    def tokenize_chinese_chars(self) -> bool:
        """Whether each ideograph is a word."""
        return self._pipeline.tokenize_chinese_chars

    def _saved_options(self) -> dict[str, Any]:
        return {
            **super()._saved_options(),
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
        }


class DistilBertTokenizer(BertTokenizer):
    """DistilBERT's tokenizer: BERT's, without token_type_ids."""

    model_input_names = ["input_ids", "attention_mask"]


class PreTrainedTokenizerFast(WordPieceTokenizer):
    """A WordPiece tokenizer that is all that its tokenizer.json says."""

    model_input_names = ["input_ids", "attention_mask"]

    def __init__(self, tokenizer_file: str | os.PathLike[str], **options: Any) -> None:
        _check_given(type(self), options, (*COMMON_OPTIONS, *NAMES))
        file = read_file(tokenizer_file)
        self._setup(parse_tokenizer_json(file.data, file.path), [], _with_present_names(options))

    def _setup(
        self, file: TokenizerJson, added_tokens: list[AddedToken], options: Mapping[str, Any]
    ) -> None:
        pipeline = file.pipeline()
        pipeline.add(added_tokens)
        padding = file.content.get("padding")
        options = dict(options)
        if isinstance(padding, dict) and isinstance(padding.get("pad_token"), str):
            options.setdefault("pad_token", padding["pad_token"])
        super().__init__(
            pipeline,
            named_tokens(options),
            options={k: v for k, v in options.items() if k in COMMON_OPTIONS},
            source=str(file.path),
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> PreTrainedTokenizerFast:
        """Loads tokenizer.json, with tokenizer_config.json, from a folder or the hub.

        Options and errors are those of BertTokenizer.from_pretrained.
        """
        hub, given = split_hub_options(options)
        return cls._load(Checkpoint(pretrained_model_name_or_path, hub), given)

    @classmethod
    def _load(cls, checkpoint: Checkpoint, given: Mapping[str, Any]) -> PreTrainedTokenizerFast:
        _check_given(cls, given, (*COMMON_OPTIONS, *NAMES))
        files = _Files(checkpoint, given)
        if files.json is None:
            raise checkpoint.missing("tokenizer.json", "vocab.txt")
        tokenizer = cls.__new__(cls)
        tokenizer._setup(
            files.json, files.added_tokens, {**files.options, "name_or_path": checkpoint.name}
        )
        return tokenizer


BertTokenizerFast = BertTokenizer
DistilBertTokenizerFast = DistilBertTokenizer
