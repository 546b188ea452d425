"""What the Unicode tables of the library `tokenizers`, which are old, would decide otherwise."""

import unicodedata

# Of BERT's range of ideographs, those that `tokenizers` leaves out: its range begins at U+2B920.
MISSED_IDEOGRAPHS = frozenset(map(chr, range(0x2B820, 0x2B920)))


def by_own_tables(word: str, without_accents: bool, ideographs: bool = True) -> str:
    """What BERT's splitting decides by Unicode's tables, done by Python's.

    Those of `tokenizers` are older: newer emoji would be removed as unassigned, newer marks would
    stay and newer punctuation would not be split off. Composed first, as transformers does it
    (docs/jointbert.md). ASCII is the same in all tables.

    ideographs  whether each of them is a token of its own
    """
    if word.isascii() and word.isprintable():
        return word
    kept = "".join(c for c in word if unicodedata.category(c)[0] != "C")
    text = unicodedata.normalize("NFC", kept)
    if without_accents:
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    # A space ends a token for the pre-tokenizer, which splits off ASCII punctuation itself.
    return "".join(f" {c} " if _stands_alone(c, ideographs) else c for c in text)


def _stands_alone(character: str, ideographs: bool) -> bool:
    if character.isascii():
        return False
    if unicodedata.category(character)[0] == "P":
        return True
    return ideographs and character in MISSED_IDEOGRAPHS
