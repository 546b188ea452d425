"""Text for every report: words from recordings made harmless, figures made short."""

import math
import re
import unicodedata

# Terminal control sequences (ECMA-48): CSI, OSC, the other strings, and two-character escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|\x1b[ -/]*[0-~]"
)
# Regular plurals of English; "bias", "class", "status" and "analysis" are none.
_PLURAL = re.compile(r"\b(?:(\w+(?:ch|sh|ss|x))es|(\w+)ies|(\w*[^\Wasui])s)\b")
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def clean(value: object) -> str:
    """Any value as one line of printable text.

    Names and messages come from recordings, which anyone may have written: escape sequences are
    removed, line breaks and odd spaces become spaces, and what else cannot be printed (control
    characters, direction overrides, lone surrogates) becomes a question mark.
    """
    text = str(value)
    if text.isprintable():
        return text
    text = _SPACES.sub(" ", _ESCAPES.sub("", text))
    return "".join(c if c.isprintable() else _substitute(c) for c in text)


def _substitute(character: str) -> str:
    return " " if unicodedata.category(character) == "Zs" else "?"


def figure(value: float | None) -> str:
    """A measured number in three digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.3g}"


def ratio(value: float | None) -> str:
    """A distance relative to what is allowed."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "inf"
    if value == 0.0 or 1e-3 <= value < 1e3:
        return f"{value:.3g}"
    return f"{value:.1e}"


def count(value: object) -> str:
    """A count with thousands separated; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clean(value)
    return f"{value:,}" if isinstance(value, int) else figure(value)


def singular(plural: str) -> str:
    """What is counted, for a count of one: "dev batches" becomes "dev batch"."""
    return _PLURAL.sub(lambda match: match[1] or (match[2] and match[2] + "y") or match[3], plural)


def compact(value: object) -> str:
    """A count in at most five characters, from a million on rounded."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1_000_000:
        return count(value)
    for size, unit in ((10**12, "T"), (10**9, "G")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value / 10**6:.3g}M"


def cells(text: str) -> int:
    """How many columns a terminal needs: two for a wide character, none for a combining mark."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def shorten(text: str, width: int) -> str:
    """The start of a text that fits into `width` columns, marked where something is left out."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 3:
        text = text[:-1]
    return text + "..."


def squeeze(name: str, width: int) -> str:
    """Both ends of a name that fit into `width` columns: its end tells it from its neighbours."""
    if cells(name) <= width:
        return name
    start, end = name[: len(name) // 3], name[len(name) // 3 :]
    while cells(start) > (width - 3) // 3:
        start = start[:-1]
    while end and cells(start) + 3 + cells(end) > width:
        end = end[1:]
    return f"{start}...{end}"


def pad(text: str, width: int) -> str:
    """A text in exactly `width` columns."""
    text = shorten(text, width)
    return text + " " * (width - cells(text))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces, and inside a word that is too long."""
    lines = [""]
    for word in text.split():
        if lines[-1] and cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if cells(lines[-1]) + cells(character) > width:
                lines.append("")
            lines[-1] += character
    return lines
