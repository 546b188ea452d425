"""The ladder for a terminal, 80 columns wide, and the progress of long work."""

import contextlib
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from modelparity.model import Finding, Outcome, Report, Verdict
from modelparity.report.ladder import (
    WORDS,
    Rung,
    coverage_in_short,
    how_far,
    largest_ratio,
    offenders,
    rungs,
    summary,
)
from modelparity.report.text import cells, clean, pad, ratio, shorten, squeeze, wrap

WIDTH = 80
COVERAGE = 31
SHOWN = 5  # findings a step, so that ten red steps still fit into a few screens
_LABEL = 9
_COLOURS = {
    Outcome.ALIGNED: "32",
    Outcome.DIVERGED: "31;1",
    Outcome.INCONCLUSIVE: "33",
    None: "2",
}


def ladder(report: Report, colour: bool = False) -> str:
    """Ten lines, then what is known about each step that is not aligned, then the outcome."""
    steps = rungs(report)
    fault = f", planted fault {clean(report.fault)}" if report.fault else ""
    header = f" #  {pad('step', 18)}{pad('outcome', 14)}{pad('compared', COVERAGE)} worst/limit"
    lines = [shorten(f"{clean(report.case)}{fault}", WIDTH), "", header]
    lines += [_rung(rung, colour) for rung in steps]
    lines += _all_details(steps, colour)
    lines.append("")
    for line in wrap(summary(report), WIDTH):
        lines.append(painted(line, report.outcome, colour))
    return "\n".join(lines)


def painted(text: str, outcome: Outcome | None, colour: bool) -> str:
    """A text in the colour of an outcome, where colours are wanted."""
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if colour else text


def _rung(rung: Rung, colour: bool) -> str:
    word = WORDS[rung.outcome]
    start = f"{rung.number:>2}  {pad(rung.name, 18)}{painted(word, rung.outcome, colour)}"
    if rung.verdict is None:
        return start
    start += " " * (14 - len(word))
    compared = coverage_in_short(rung.verdict.coverage, COVERAGE)
    return f"{start}{pad(compared, COVERAGE)} {ratio(largest_ratio(rung.verdict)):>11}"


def _all_details(steps: list[Rung], colour: bool) -> list[str]:
    """What is known about each step that is not aligned; what neighbours share is said once."""
    lines: list[str] = []
    before: list[str] = []
    for rung in steps:
        if rung.verdict is None or rung.outcome is Outcome.ALIGNED:
            continue
        word = painted(f"{rung.name}: {WORDS[rung.outcome]}", rung.outcome, colour)
        details = _details(rung.verdict)
        if details == before:
            lines = lines[: -len(before)]
        else:
            lines.append("")
        lines += [f"{rung.number:>2}  {word}", *details]
        before = details
    return lines


def _details(verdict: Verdict) -> list[str]:
    lines: list[str] = []
    found = offenders(verdict)
    said: set[str] = set()  # hints, but for their figures
    if not found:
        lines += _labelled("why", verdict.reason)
    else:
        first = found[0]
        lines += _labelled("where", first.name) if first.name else []
        lines += _labelled("how far", how_far(first))
        lines += _labelled("why", first.message or verdict.reason)
        for number, hint in enumerate(first.hints):
            lines += _labelled("or" if number else "try", hint)
            said.add(_mistake(hint))
    for number, finding in enumerate(found[1:SHOWN]):
        label = "also" if number == 0 else ""
        lines.append(f"    {label:<{_LABEL}}{_in_a_line(finding)}")
        for hint in finding.hints[:1]:
            lines += _labelled("", f"try: {hint}") if _mistake(hint) not in said else []
            said.add(_mistake(hint))
    if len(found) > SHOWN:
        lines += _labelled("", f"and {len(found) - SHOWN:,} more")
    for note in verdict.notes:
        lines += _labelled("note", note)
    return lines


def _mistake(hint: str) -> str:
    """A hint without its figures, which differ from array to array."""
    return hint.partition(": the gap falls")[0].partition(": that explains")[0]


def _in_a_line(finding: Finding) -> str:
    """A further finding: its name and ratio where it was measured, else what was found."""
    room = WIDTH - 4 - _LABEL
    if finding.diff is not None and finding.outcome is Outcome.DIVERGED:
        return (
            f"{pad(squeeze(clean(finding.name), room - 12), room - 12)} {ratio(finding.ratio):>11}"
        )
    text = f"{finding.name}: {finding.message}" if finding.name else finding.message
    return shorten(clean(text), room)


def _labelled(label: str, text: str) -> list[str]:
    if not text:
        return []
    wrapped = wrap(clean(text), WIDTH - 4 - _LABEL)
    heads = [label] + [""] * (len(wrapped) - 1)
    return [
        f"    {head:<{_LABEL}}{line}".rstrip() for head, line in zip(heads, wrapped, strict=True)
    ]


class Progress:
    """How far long work has come: one live line on a terminal, else a line now and then."""

    INTERVAL = 10.0  # seconds between plain lines about the same work
    REDRAW = 0.1  # seconds between two drawings of the live line

    def __init__(
        self,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = self._stream.isatty()
        self._clock = clock
        self._text = ""
        self._said: dict[str, float] = {}  # two sides may be at work at once
        self._drawn = False

    def update(self, text: str, done: int, total: int) -> None:
        """Say that `done` of `total` parts of the work called `text` are finished."""
        now = self._clock()
        last = max(self._said.values(), default=-math.inf) if self._live else self._said.get(text)
        due = last is None or now - last >= (self.REDRAW if self._live else self.INTERVAL)
        finished = self._live and done >= total
        changed = self._live and text != self._text
        if self._quiet or not (changed or due or finished):
            return
        self._text, self._said[text] = text, now
        line = clean(text) + (f"  {done:,}/{total:,}" if total > 1 else "")
        try:
            if self._live:
                self._draw(line, done, total)
            else:
                self._stream.write(f"{line}\n")
            self._stream.flush()
        except BrokenPipeError:  # nobody reads it; the work goes on
            self._quiet = True
            abandon(self._stream)

    def _draw(self, line: str, done: int, total: int) -> None:
        width = max(20, shutil.get_terminal_size().columns - 1)
        filled = min(20, 20 * done // total) if total > 1 else 0
        bar = f"[{'=' * filled}{' ' * (20 - filled)}] " if total > 1 else ""
        room = width - cells(bar)
        drawn = bar + shorten(line, room) if room >= 20 else shorten(line, width)
        self._stream.write(f"\r\x1b[2K{drawn}")
        self._drawn = True

    def close(self) -> None:
        """Remove the live line, so that what follows starts on a clean one."""
        if self._drawn:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
        self._drawn = False


def abandon(stream: TextIO) -> None:
    """Let what is written to a stream that nobody reads any more go nowhere.

    Otherwise Python would fail once more as it ends, and change the exit code.
    """
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
