"""Special tokens by name: tokenizer.cls_token, tokenizer.cls_token_id, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftcore.tokenization.added_token import AddedToken

NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
TOKEN_TYPES = (str, AddedToken)


def named_tokens(options: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The named special tokens among a tokenizer's options: NAMES, then a checkpoint's own.

    Raises TypeError where one is no token.
    """
    own = [n for n, v in options.items() if n.endswith("_token") and isinstance(v, TOKEN_TYPES)]
    tokens = {}
    for name in dict.fromkeys((*NAMES, *own)):
        if options.get(name) is not None:
            try:
                tokens[name] = AddedToken.from_object(options[name], special=True)
            except TypeError as error:
                raise TypeError(f"{name}: {error}") from None
    return tokens


def _token_property(name: str) -> property:
    def get(self: SpecialTokens) -> str | None:
        token = self._special_tokens.get(name)
        return None if token is None else token.content

    def set(self: SpecialTokens, value: Any) -> None:
        if value is None:
            self._special_tokens.pop(name, None)
        else:
            try:
                self._special_tokens[name] = AddedToken.from_object(value, special=True)
            except TypeError:
                raise ValueError(f"Cannot set a non-string value as the {name}") from None

    return property(get, set, doc=f"The {name.replace('_', ' ')}, or None.")


def _id_property(name: str) -> property:
    def get(self: SpecialTokens) -> int | None:
        token = self._special_tokens.get(name)
        return None if token is None else self.convert_tokens_to_ids(token.content)

    def set(self: SpecialTokens, value: int | None) -> None:
        setattr(self, name, None if value is None else self.convert_ids_to_tokens(value))

    return property(get, set, doc=f"The id of the {name.replace('_', ' ')}, or None.")


class SpecialTokens:
    """The special tokens of a tokenizer, named and further ones."""

    _special_tokens: dict[str, AddedToken]
    _extra_special_tokens: list[AddedToken]

    bos_token = _token_property("bos_token")
    eos_token = _token_property("eos_token")
    unk_token = _token_property("unk_token")
    sep_token = _token_property("sep_token")
    pad_token = _token_property("pad_token")
    cls_token = _token_property("cls_token")
    mask_token = _token_property("mask_token")
    bos_token_id = _id_property("bos_token")
    eos_token_id = _id_property("eos_token")
    unk_token_id = _id_property("unk_token")
    sep_token_id = _id_property("sep_token")
    pad_token_id = _id_property("pad_token")
    cls_token_id = _id_property("cls_token")
    mask_token_id = _id_property("mask_token")

    def __getattr__(self, name: str) -> Any:
        """The special tokens that a checkpoint has named itself, such as `tokenizer.x_token`."""
        key = name.removesuffix("_id")
        tokens = self.__dict__.get("_special_tokens", {})
        if not key.endswith("_token") or key not in tokens:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        content = tokens[key].content
        return content if key == name else self.convert_tokens_to_ids(content)

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        raise NotImplementedError

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        raise NotImplementedError

    @property
    def pad_token_type_id(self) -> int:
        """The token type of padding."""
        return 0

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The named special tokens that are set."""
        return {name: token.content for name, token in self._special_tokens.items()}

    @property
    def extra_special_tokens(self) -> list[str]:
        """The special tokens that have no name."""
        return [token.content for token in self._extra_special_tokens]

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of all_special_tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)
