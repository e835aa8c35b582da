"""Tokens that are found in the text itself, before it is split into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True, repr=False)
class AddedToken:
    """A token that the text is searched for, with the fields of ``tokenizers.AddedToken``.

    ``single_word`` matches it only where no letter or digit is next to it, ``lstrip`` and
    ``rstrip`` let it take the white space beside it, ``normalized`` searches the normalised text
    (by default where the token is not special). ``str()`` of it is its content.

    Raises TypeError where ``content`` is no str, UnicodeEncodeError where it is no Unicode text.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = None  # type: ignore[assignment]  # __post_init__ decides
    special: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.content, str):
            raise TypeError(f"a token's content must be a str, not {type(self.content).__name__}")
        self.content.encode()  # half a surrogate pair is in no text
        object.__setattr__(self, "_normalized_by_default", self.normalized is None)
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)

    def __str__(self) -> str:
        return self.content

    def __repr__(self) -> str:
        flags = ("rstrip", "lstrip", "single_word", "normalized", "special")
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in flags)
        return f'AddedToken("{self.content}", {shown})'

    def to_dict(self) -> dict[str, Any]:
        """The fields, as ``tokenizer.json`` holds them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def with_special(self, special: bool) -> AddedToken:
        """This token, special or not; ``normalized`` follows unless it was given."""
        if special == self.special:
            return self
        changed = {**self.to_dict(), "special": special}
        if self._normalized_by_default:  # type: ignore[attr-defined]
            del changed["normalized"]
        return AddedToken(**changed)

    @staticmethod
    def special_token(content: str) -> AddedToken:
        """A special token, which is found in the text as it stands."""
        return AddedToken(content, special=True)

    @staticmethod
    def from_object(value: object, special: bool | None = None) -> AddedToken:
        """From a str, a mapping of the fields, or any object that has them as attributes.

        Raises TypeError where ``value`` is none of these.
        """
        if isinstance(value, AddedToken):
            token = value
        elif isinstance(value, str):
            token = AddedToken(value)
        elif isinstance(value, Mapping) and isinstance(value.get("content"), str):
            flags = {name: bool(value[name]) for name in _FLAGS if name in value}
            token = AddedToken(value["content"], **flags)
        elif isinstance(getattr(value, "content", None), str):
            flags = {name: bool(getattr(value, name, False)) for name in _FLAGS}
            if flags["normalized"] is not flags["special"]:
                del flags["normalized"]  # the default there too: it may follow `special`
            token = AddedToken(value.content, **flags)  # type: ignore[attr-defined]
        else:
            raise TypeError(f"a token must be a str or an AddedToken, not {type(value).__name__}")
        return token if special is None else token.with_special(special)


def is_token(value: object) -> bool:
    """Whether ``value`` is a str or an AddedToken, of whichever library."""
    return isinstance(value, str) or (
        not isinstance(value, Mapping) and isinstance(getattr(value, "content", None), str)
    )
