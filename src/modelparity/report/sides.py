"""What both sides ran on, laid out for tables."""

from collections.abc import Iterator, Mapping

from modelparity.report.text import clean

SIDES = ("reference", "candidate")
_ELSEWHERE = ("settings",)  # shown once for both sides, who must share them


def flattened(mapping: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted key and value of everything in nested mappings, in order."""
    for key, value in mapping.items():
        name = f"{prefix}.{clean(key)}" if prefix else clean(key)
        if isinstance(value, Mapping):
            yield from flattened(value, name)
        else:
            yield name, value


def side_by_side(
    manifests: Mapping[str, Mapping[str, object]],
) -> list[tuple[str, str, str]]:
    """(key, reference's value, candidate's value) of every manifest field but the settings."""
    columns = [
        dict(flattened({k: v for k, v in manifests.get(s, {}).items() if k not in _ELSEWHERE}))
        for s in SIDES
    ]
    keys = dict.fromkeys([*columns[0], *columns[1]])
    reference, candidate = columns
    return [
        (
            key.removeprefix("environment."),
            clean(reference.get(key, "")),
            clean(candidate.get(key, "")),
        )
        for key in keys
    ]
