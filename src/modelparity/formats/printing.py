"""Names from files, as they may be shown."""


def printable(name: str) -> str:
    """The text with everything escaped that a terminal would act on; long ones are cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return shown if len(shown) <= 200 else f"{shown[:197]}..."
