"""Special tokens by name: tokenizer.cls_token, tokenizer.cls_token_id, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ftcore.tokenization.added_token import AddedToken, is_token

NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
_EXTRA = "extra_special_tokens"


def named_tokens(options: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The named special tokens among a tokenizer's options: NAMES, then a checkpoint's own.

    Raises TypeError where one is no token.
    """
    own = [n for n, v in options.items() if n.endswith("_token") and is_token(v)]
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
        return self._special_token(name)

    def set(self: SpecialTokens, value: Any) -> None:
        self._set_special_token(name, value)

    return property(get, set, doc=f"The {name.replace('_', ' ')}, or None.")


def _id_property(name: str) -> property:
    def get(self: SpecialTokens) -> int | None:
        return self._special_id(name)

    def set(self: SpecialTokens, value: int | None) -> None:
        self._set_special_id(name, value)

    return property(get, set, doc=f"The id of the {name.replace('_', ' ')}, or None.")


class SpecialTokens:
    """The special tokens of a tokenizer: those with names, and further ones.

    Setting one names a token; it adds none to the vocabulary, as ``add_special_tokens`` does.
    """

    _special_tokens: dict[str, AddedToken | None]  # those in NAMES first, in that order
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

    @property
    def _id_of(self) -> Callable[[str], int | None]:
        raise NotImplementedError

    def _add(self, tokens: Iterable[AddedToken]) -> int:
        raise NotImplementedError

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        raise NotImplementedError

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        raise NotImplementedError

    # Named tokens

    def _special_token(self, name: str) -> str | None:
        token = self._special_tokens.get(name)
        return None if token is None else token.content

    def _special_id(self, name: str) -> int | None:
        token = self._special_tokens.get(name)
        if token is None:
            return None
        id = self._id_of(token.content)
        return self.unk_token_id if id is None and name != "unk_token" else id

    def _set_special_token(self, name: str, value: Any) -> None:
        if value is not None and not is_token(value):
            raise ValueError(f"Cannot set a non-string value as the {name}: {value!r}")
        token = None if value is None else AddedToken.from_object(value, special=True)
        tokens = {**self._special_tokens, name: token}
        ordered = dict.fromkeys((*NAMES, *tokens))
        self._special_tokens = {name: tokens[name] for name in ordered if name in tokens}

    def _set_special_id(self, name: str, value: int | None) -> None:
        self._set_special_token(name, None if value is None else self.convert_ids_to_tokens(value))

    def _is_own_name(self, name: str) -> bool:
        """Whether a checkpoint has named a special token so itself."""
        return name not in NAMES and name in self.__dict__.get("_special_tokens", ())

    def __getattr__(self, name: str) -> Any:
        if self._is_own_name(name):
            return self._special_token(name)
        if self._is_own_name(name.removesuffix("_id")):
            return self._special_id(name.removesuffix("_id"))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_own_name(name):
            self._set_special_token(name, value)
        elif self._is_own_name(name.removesuffix("_id")):
            self._set_special_id(name.removesuffix("_id"), value)
        else:
            super().__setattr__(name, value)

    @property
    def SPECIAL_TOKENS_ATTRIBUTES(self) -> list[str]:
        """The names that special tokens may have here."""
        return [*NAMES, *(name for name in self._special_tokens if name not in NAMES)]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The named special tokens that are set."""
        return {name: t.content for name, t in self._special_tokens.items() if t is not None}

    @property
    def pad_token_type_id(self) -> int:
        """The token type of padding."""
        return 0

    # Tokens without a name, and all of them

    @property
    def extra_special_tokens(self) -> list[str]:
        """The special tokens that have no name."""
        return [token.content for token in self._extra_special_tokens]

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens: Any) -> None:
        tokens = () if tokens is None else tokens
        if not isinstance(tokens, (list, tuple)) or not all(map(is_token, tokens)):
            raise ValueError(f"{_EXTRA} must be a list or tuple of tokens, got {tokens!r}")
        self._extra_special_tokens = [AddedToken.from_object(t, special=True) for t in tokens]

    @property
    def extra_special_tokens_ids(self) -> list[int]:
        """The ids of extra_special_tokens."""
        return self.convert_tokens_to_ids(self.extra_special_tokens)

    @extra_special_tokens_ids.setter
    def extra_special_tokens_ids(self, ids: Any) -> None:
        self.extra_special_tokens = (
            self.convert_ids_to_tokens(ids) if isinstance(ids, (list, tuple)) else ids
        )

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of all_special_tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    # Adding

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Adds a token, or a list of them, to be found in texts as they are.

        Tokens are str or AddedToken. Those that the vocabulary has keep their ids; others get new
        ones, for which the model's embeddings have to grow. ``special_tokens`` makes them special:
        decoding can skip them. Returns how many tokens are new or changed; raises TypeError for
        what is no token.
        """
        if not new_tokens:
            return 0
        if not isinstance(new_tokens, (list, tuple)):
            new_tokens = [new_tokens]
        for token in new_tokens:
            if not is_token(token):
                raise TypeError(
                    f"add_tokens takes a str, an AddedToken or a list of them; got {token!r}"
                )
        special = True if special_tokens else None
        return self._add([AddedToken.from_object(token, special) for token in new_tokens])

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, Any] | None,
        replace_extra_special_tokens: bool = True,
    ) -> int:
        """Names special tokens and adds them to the vocabulary where it lacks them.

        The keys are names, as in SPECIAL_TOKENS_ATTRIBUTES, with a token each, and
        "extra_special_tokens" (or "additional_special_tokens") with a list, which replaces the
        present one or extends it. Returns how many tokens are new or changed. Raises ValueError
        for other keys and values, before anything changes.
        """
        if not special_tokens_dict:
            return 0
        given = dict(special_tokens_dict)
        if "additional_special_tokens" in given and not given.get(_EXTRA):
            given[_EXTRA] = given.pop("additional_special_tokens")
        self._check_special_tokens_given(given)
        to_add: list[AddedToken] = []
        for name, value in given.items():
            if name != _EXTRA:
                self._set_special_token(name, value)
                to_add.append(AddedToken.from_object(value, special=True))
                continue
            tokens = [AddedToken.from_object(t, special=True) for t in value]
            if replace_extra_special_tokens:
                self._extra_special_tokens = tokens or self._extra_special_tokens
            else:
                have = self.extra_special_tokens
                tokens = [token for token in tokens if token.content not in have]
                self._extra_special_tokens = [*self._extra_special_tokens, *tokens]
            to_add += tokens
        return self._add(to_add)

    def _check_special_tokens_given(self, given: Mapping[str, Any]) -> None:
        names = self.SPECIAL_TOKENS_ATTRIBUTES
        for name, value in given.items():
            if name == _EXTRA:
                if not isinstance(value, (list, tuple)) or not all(map(is_token, value)):
                    raise ValueError(
                        f"Tokens {value!r} for key {_EXTRA} should be a list of str or AddedToken"
                    )
            elif name not in names:
                raise ValueError(
                    f"Key {name!r} is not a valid special token. Valid keys are: "
                    f"{', '.join([*names, _EXTRA])}"
                )
            elif not is_token(value):
                raise ValueError(f"Token {value!r} for key {name} should be a str or an AddedToken")
