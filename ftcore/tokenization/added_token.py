"""Tokens that are found in the text itself, before it is split into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True)
class AddedToken:
    """A token that the text is searched for, with the fields of ``tokenizers.AddedToken``.

    ``single_word`` matches it only where no letter or digit is next to it, ``lstrip`` and
    ``rstrip`` let it take the white space beside it, ``normalized`` searches the normalised text.
    ``str()`` of it is its content.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    def __str__(self) -> str:
        return self.content

    def to_dict(self) -> dict[str, Any]:
        """The fields, as ``tokenizer.json`` holds them."""
        return asdict(self)

    @staticmethod
    def special_token(content: str) -> AddedToken:
        """A special token, which is found in the text as it stands."""
        return AddedToken(content, normalized=False, special=True)

    @staticmethod
    def from_object(value: object, special: bool | None = None) -> AddedToken:
        """From a str, a mapping of the fields, or any object that has them as attributes.

        Raises TypeError where ``value`` is none of these.
        """
        if isinstance(value, AddedToken):
            token = value
        elif isinstance(value, str):
            return AddedToken(value, normalized=not special, special=bool(special))
        elif isinstance(value, Mapping) and isinstance(value.get("content"), str):
            flags = {name: bool(value[name]) for name in _FLAGS if name in value}
            flags.setdefault("normalized", not flags.get("special", bool(special)))
            token = AddedToken(value["content"], **flags)
        elif isinstance(getattr(value, "content", None), str):
            token = AddedToken(
                value.content,  # type: ignore[attr-defined]
                **{name: bool(getattr(value, name, False)) for name in _FLAGS},
            )
        else:
            raise TypeError(f"a token must be a str or an AddedToken, not {type(value).__name__}")
        if special is None or token.special == special:
            return token
        return AddedToken(**{**token.to_dict(), "special": special})
