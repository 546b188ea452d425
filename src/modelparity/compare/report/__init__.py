"""Reports of a Comparison: pure functions to text, and the one function that writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from modelparity.compare.report.json import as_json
from modelparity.compare.report.junit import as_junit
from modelparity.compare.report.markdown import as_markdown
from modelparity.compare.report.table import as_table
from modelparity.compare.result import Comparison
from modelparity.report import write_texts

FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "table": as_table,
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
}
_FILES = {"diff.json": as_json, "diff.md": as_markdown, "junit.xml": as_junit}


def write_all(comparison: Comparison, directory: Path) -> list[Path]:
    """Write diff.json, diff.md and junit.xml, each whole or not at all.

    InputError where the directory cannot be written.
    """
    texts = {name: render(comparison) for name, render in _FILES.items()}
    return write_texts(texts, directory)
