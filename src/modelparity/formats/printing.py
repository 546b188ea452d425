"""Names from files, as they may be shown."""


def escaped(text: str) -> str:
    """The text with everything escaped that a terminal would act on, or could not print."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable(name: str) -> str:
    """The same, cut where it is long."""
    shown = escaped(name[:201])
    return shown if len(shown) <= 200 else f"{shown[:197]}..."
