"""Reports: pure functions from a Report to text, and the one function that writes them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from modelparity.errors import InputError
from modelparity.model import Report
from modelparity.report.alignment import alignment
from modelparity.report.html import as_html
from modelparity.report.json import as_json
from modelparity.report.junit import as_junit
from modelparity.report.markdown import as_markdown

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "report.json": as_json,
    "report.html": as_html,
    "report.md": as_markdown,
    "junit.xml": as_junit,
    "alignment.md": alignment,
}


def write_all(report: Report, directory: Path, language: str = "en") -> list[Path]:
    """Write every format into `directory`, each file whole or not at all.

    `language` ("en" or "zh") is that of alignment.md. Everything is rendered before anything is
    written. UsageError for an unknown language, InputError where the directory cannot be written.
    """
    texts = {name: render(report) for name, render in FORMATS.items()}
    texts["alignment.md"] = alignment(report, language)
    return write_texts(texts, directory)


def write_texts(texts: Mapping[str, str], directory: Path) -> list[Path]:
    """Write texts under their names, each file whole or not at all.

    InputError where the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _replace(directory / name, text)
    except OSError as error:
        raise InputError(f"{directory}: reports cannot be written: {error.strerror}") from None
    return [directory / name for name in texts]


def _replace(path: Path, text: str) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
