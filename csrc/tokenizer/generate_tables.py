"""Writes unicode_tables.c: what the tokenizer knows of each code point.

Run it with the Python package ``tokenizers`` installed, whose behaviour is the definition:

    python csrc/tokenizer/generate_tables.py > csrc/tokenizer/unicode_tables.c

Nothing is taken from Unicode's own files, because that library does not follow one version of
them: its categories are those of Unicode 8.0, its decompositions and lower case are newer. Each
property is asked of the library instead, one code point at a time.
"""

import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

BLOCK = 128
REMOVED, SPACE, MARK, PUNCTUATION, CJK, WORD = 1, 2, 4, 8, 16, 32
HANGUL = range(0xAC00, 0xD7A4)
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def bert(**options):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **options}).normalize_str


nfd = normalizers.NFD().normalize_str
lower = normalizers.Lowercase().normalize_str
clean = bert(clean_text=True)
space_out = bert(handle_chinese_chars=True)
strip_accents = bert(strip_accents=True)
split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def word_finder():
    """Whether a code point is a word character for an added token's single_word."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("T", single_word=True, normalized=False)])
    return lambda character: tokenizer.encode("T" + character).ids[:1] != [1]


def combining_class_finder():
    """The canonical combining class of a code point, from how NFD orders it among known marks."""
    first, last = "\u0334", "\u0345"  # of the least class, 1, and the greatest, 240

    def is_reordered(character):
        after, before = nfd(last + character), nfd(character + first)
        return after == character + last or before == first + character

    marks = {}
    for code in CODE_POINTS:
        value = unicodedata.combining(chr(code))
        if value and nfd(chr(code)) == chr(code) and is_reordered(chr(code)):
            marks.setdefault(value, chr(code))
    ranks = sorted(marks)

    def find(character):
        if not is_reordered(character):
            return 0
        swaps = (nfd(character + m) == m + character != character + m for m in marks.values())
        return ranks[sum(swaps)]

    return find


def properties(code, is_word, combining_class):
    character = chr(code)
    flags = 0
    cleaned = clean(character)
    pieces = [piece for piece, _ in split(f"a{character}a")]
    if cleaned == "":
        flags |= REMOVED
    if pieces == ["a", "a"]:
        flags |= SPACE
    elif pieces == ["a", character, "a"]:
        flags |= PUNCTUATION
    else:
        assert pieces == [f"a{character}a"]
    assert cleaned == (
        "" if flags & REMOVED else " " if flags & SPACE or character in "\t\n\r" else character
    )
    if space_out(character) == f" {character} ":
        flags |= CJK
    if is_word(character):
        flags |= WORD
    decomposed = nfd(character)
    if decomposed == character and strip_accents(character) == "":
        flags |= MARK
    if code in HANGUL:
        s = code - HANGUL.start
        jamo = [0x1100 + s // 588, 0x1161 + s % 588 // 28] + [0x11A7 + s % 28] * (s % 28 > 0)
        assert decomposed == "".join(map(chr, jamo))
        decomposed = character
    lowered = lower(character)
    return (
        flags,
        combining_class(character) if decomposed == character else 0,
        "" if decomposed == character else decomposed,
        "" if lowered == character else lowered,
    )


class Points:
    """The code points that mappings refer to, as one array; equal stretches are shared."""

    def __init__(self):
        self.text = ""

    def place(self, mapping):
        at = self.text.find(mapping)
        if at < 0:
            at = len(self.text)
            self.text += mapping
        return at


def emit_array(declaration, values, per_line):
    print(f"{declaration} = {{")
    for i in range(0, len(values), per_line):
        print("    " + ", ".join(values[i : i + per_line]) + ",")
    print("};\n")


def main():
    is_word, combining_class = word_finder(), combining_class_finder()
    points = Points()
    records, record_of = {(0, 0, 0, 0, 0, 0): 0}, [0] * 0x110000
    for code in CODE_POINTS:
        flags, combining, decomposed, lowered = properties(code, is_word, combining_class)
        record = (
            flags,
            combining,
            len(decomposed),
            len(lowered),
            points.place(decomposed),
            points.place(lowered),
        )
        record_of[code] = records.setdefault(record, len(records))
    blocks, block_of = {}, []
    for start in range(0, 0x110000, BLOCK):
        block = tuple(record_of[start : start + BLOCK])
        block_of.append(blocks.setdefault(block, len(blocks)))
    assert len(records) < 65536 and len(blocks) < 65536 and len(points.text) < 65536

    print(f"/* Generated by generate_tables.py from tokenizers {tokenizers.__version__}. */")
    print('#include "tokenizer/unicode.h"\n\n/* clang-format off */')
    emit_array(f"const uint16_t ft_unicode_blocks[{len(block_of)}]", [str(b) for b in block_of], 20)
    flat = [str(r) for block in blocks for r in block]
    emit_array(f"const uint16_t ft_unicode_record_indices[{len(flat)}]", flat, 20)
    rows = ["{" + ", ".join(map(str, r)) + "}" for r in records]
    emit_array(f"const ft_unicode_record ft_unicode_records[{len(rows)}]", rows, 5)
    codes = [f"0x{ord(c):x}" for c in points.text]
    emit_array(f"const uint32_t ft_unicode_points[{len(codes)}]", codes, 12)
    print(f"{len(records)} records, {len(blocks)} blocks", file=sys.stderr)


if __name__ == "__main__":
    main()
