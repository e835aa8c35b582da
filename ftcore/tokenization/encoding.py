"""One encoded row, token by token: what tokenizers.Encoding is to Hugging Face's tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, field

Span = tuple[int, int]


@dataclass
class Encoding:
    """A row with where each of its tokens comes from.

    Lists hold an item a token, special tokens and padding included. Characters are those of the
    text as it was given, or of its word where it was given split into words.
    """

    ids: list[int]
    type_ids: list[int]
    tokens: list[str]
    word_ids: list[int | None]
    """The number of a token's word within its text; None for special tokens and padding."""
    sequence_ids: list[int | None]
    """0 or 1 for tokens of the first or the second text; None for special tokens and padding."""
    offsets: list[Span]
    """The characters [start, end) a token comes from; (0, 0) for special tokens and padding."""
    special_tokens_mask: list[int]
    attention_mask: list[int]
    n_sequences: int = 1
    overflowing: list[Encoding] = field(default_factory=list)
    """The further rows of the same text, where truncation cut it off."""

    def __len__(self) -> int:
        return len(self.ids)

    def _tokens_of(self, sequence_index: int) -> range:
        """The places of a text's tokens; of all tokens where there is no such text."""
        if not 0 <= sequence_index < self.n_sequences:
            return range(len(self))
        places = [i for i, id in enumerate(self.sequence_ids) if id == sequence_index]
        return range(places[0], places[-1] + 1) if places else range(0)

    def token_to_sequence(self, token_index: int) -> int | None:
        """Which text a token is of."""
        return self.sequence_ids[token_index] if 0 <= token_index < len(self) else None

    def token_to_word(self, token_index: int) -> int | None:
        """The number of a token's word."""
        return None if self.token_to_sequence(token_index) is None else self.word_ids[token_index]

    def token_to_chars(self, token_index: int) -> Span | None:
        """The characters a token comes from."""
        return None if self.token_to_sequence(token_index) is None else self.offsets[token_index]

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> Span | None:
        """The tokens [start, end) of a word."""
        places = []
        for i in self._tokens_of(sequence_index):
            word = self.word_ids[i]
            if word is not None and word > word_index:
                break  # without a text of that index, words start anew within the tokens
            if word == word_index:
                places.append(i)
        return (places[0], places[-1] + 1) if places else None

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> Span | None:
        """The characters [start, end) that the tokens of a word come from."""
        span = self.word_to_tokens(word_index, sequence_index)
        return None if span is None else (self.offsets[span[0]][0], self.offsets[span[1] - 1][1])

    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The first token that a character has gone into."""
        for i in self._tokens_of(sequence_index):
            start, end = self.offsets[i]
            if start <= char_pos < end:
                return i
        return None

    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """The word that a character has gone into."""
        token = self.char_to_token(char_pos, sequence_index)
        return None if token is None else self.token_to_word(token)
