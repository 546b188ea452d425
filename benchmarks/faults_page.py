"""What faults.py found, as lines on a terminal and as a page; pure functions."""

import platform
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from textwrap import fill

from peer_tools import TOOLS
from peers import BEST, CLEAN, GUIDED, KINDS, MORE, Column

HEAD = f"{'':5}  {'fault':44}  step  caught step place cause  red steps"
LEGEND = "step: the first red step is the fault's own; place and cause: named by that step"
OURS = "modelparity"
PACKAGES = ("modelparity", "torch", "paddlepaddle", "transformers", "numpy")
# The step whose claim a kind of dump serves.
STEP_OF = {
    "outputs": 1,
    "evaluation data": 2,
    "metrics": 3,
    "rates": 5,
    "losses": 7,
    "gradients": 7,
    "trained weights": 7,
    "training data": 8,
    "weights": 9,
    "scores": 10,
}


@dataclass(frozen=True)
class Row:
    """A planted fault, a pair of them, or a clean port, and what the ladder said.

    place, named  None where there is none to name
    """

    name: str
    step: int
    cause: str
    equivalent: str = ""
    red: tuple[int, ...] = ()
    caught: bool = False
    own_step: bool = False
    place: bool | None = None
    named: bool | None = None
    hints: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Everything but the cause, of which one in ten may be missed."""
        if self.equivalent:
            return not self.caught
        return self.caught and self.own_step and self.place is not False


@dataclass(frozen=True)
class Page:
    """All that was found."""

    rows: tuple[Row, ...]
    clean: tuple[Row, ...]
    pairs: tuple[Row, ...]
    columns: tuple[Column, ...]

    @property
    def wrong(self) -> list[Row]:
        """The faults that numbers can show."""
        return [row for row in self.rows if not row.equivalent]

    @property
    def equivalent(self) -> list[Row]:
        return [row for row in self.rows if row.equivalent]

    def holds(self, named: float) -> bool:
        """Whether everything is right, and this share of the causes is named."""
        causes = [bool(row.named) for row in self.wrong]
        enough = not causes or sum(causes) >= named * len(causes)
        return enough and all(row.right for row in (*self.rows, *self.clean, *self.pairs))


def line(row: Row) -> str:
    """One line of the terminal's table; what was said in place of a cause in further ones."""
    own = "none" if row.equivalent else str(row.step)
    steps = ",".join(map(str, row.red)) or "none"
    marks = f"{_mark(row.caught):^6} {_mark(row.own_step):^4} {_mark(row.place):^5}"
    verdict = "ok" if row.right else "WRONG"
    said = row.hints if row.named is False and not row.equivalent else ()
    head = f"{verdict:5}  {row.name:44}  {own:>4}  {marks} {_mark(row.named):^5}  {steps}"
    return "\n".join([head, *(f"       says: {hint}" for hint in said)])


def _mark(holds: bool | None) -> str:
    return "" if holds is None else "x" if holds else "-"


def sums(page: Page) -> str:
    """The totals, ours and theirs, as aligned columns."""
    return "\n".join(
        f"{row[0]:30} {row[1]:>12} {row[2]:>12} {row[3]:>12} {row[4]:>12} {row[5]:>13}"
        for row in totals(page)
    )


def totals(page: Page) -> list[tuple[str, str, str, str, str, str]]:
    """Who; caught, right step, right place, right cause, clean ports accused."""
    wrong, quiet = page.wrong, [*page.clean, *page.equivalent]
    places = [row.place for row in wrong if row.place is not None]
    found = [("", "caught", "right step", "right place", "right cause", "false alarms")]
    found.append(
        (
            OURS,
            share(row.caught for row in wrong),
            share(row.own_step for row in wrong),
            share(map(bool, places)),
            share(bool(row.named) for row in wrong),
            share(row.caught for row in quiet),
        )
    )
    for column in page.columns:
        name = f"{column.tool} {column.settings}".strip()
        if column.absent:
            found.append((name, column.absent, "", "", "", ""))
            continue
        caught = [column.accused.get(row.name, ()) for row in wrong]
        firsts = [_first_step(kinds) == row.step for kinds, row in zip(caught, wrong, strict=True)]
        alarms = [bool(column.accused.get(row.name)) for row in quiet]
        figures = share(map(bool, caught)), share(firsts), "none", "none", share(alarms)
        found.append((name, *figures))
    return found


def share(holds: Iterable[bool]) -> str:
    """How many of how many; nothing of nothing is no figure."""
    every = list(holds)
    if not every:
        return "none"
    return f"{100.0 * sum(every) / len(every):.0f} % ({sum(every)}/{len(every)})"


def _first_step(kinds: Sequence[str]) -> int:
    return min((STEP_OF[kind] for kind in kinds), default=0)


def page(found: Page, given: Namespace) -> str:
    """The published page."""
    lines = ["# Planted faults", "", *_head(found, given), "", "## Totals", ""]
    lines += _table(totals(found))
    lines += [*_wrapped(NOTES), "", "## Each fault", "", *_each(found)]
    if found.equivalent:
        lines += ["", "## Equivalent faults", "", "No numbers can show these; no step is red.", ""]
        lines += _table(
            [("fault", "reason", "red steps")]
            + [(f"`{r.name}`", r.equivalent, _steps(r)) for r in found.equivalent]
        )
    if found.pairs:
        lines += ["", "## Two faults at once", "", *_pairs(found.pairs)]
    return "\n".join(lines) + "\n"


def _head(found: Page, given: Namespace) -> list[str]:
    words = ["python benchmarks/faults.py", given.case]
    words += [f"--clean {given.clean}", f"--pairs {given.pairs}", f"--seed {given.seed}"]
    tools = [f"{TOOLS[c.tool][1]} {c.version}" for c in found.columns if c.version]
    command = f"`{' '.join(words)} --markdown docs/faults.md`"
    text = f"""Written by {command} on {date.today().isoformat()}; no figure on this page is typed.
    Versions: {", ".join(dict.fromkeys((*_versions(), *tools)))}."""
    return _wrapped([text])[1:]


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return found


NOTES = (
    f"""**{OURS}.** Caught: some step is red. Right step: the first red one is the fault's own.
    Right place: the reason of that step names it. Right cause: one of its first two hints says what
    the port does otherwise. False alarms: ports without a fault, each with a seed of its own, and
    equivalent faults.""",
    f"""**The others** were run by their own code, on float32 arrays of the same recordings. As they
    are usually set they see what their guides tell a user to dump: {", ".join(GUIDED)}; padiff also
    {" and ".join(MORE["padiff"])}. That is more than a user of theirs has: the same weights and
    batches on both sides are the ladder's. A tool that stops with an error has caught the fault.
    Right step: the first dump that it accuses is of the fault's step. They name neither a place in
    the model nor a cause. Tools that accuse clean ports too have caught nothing by accusing faults.
    *{BEST.capitalize()}*: on all dumps ({", ".join(KINDS)}) and by all of a tool's statistics
    (`benchmarks/peer_tools.py`) together, each with the tightest threshold (0; 1, 2 or 5 of a
    decade) for each kind of dump that accuses none of the ports named `{CLEAN}-*`; only equivalent
    faults can be false alarms then. padiff's own
    search wants both live models in one process: here its comparison of arrays is measured.""",
)


def _wrapped(notes: Iterable[str]) -> list[str]:
    """Paragraphs, each after an empty line."""
    return [text for note in notes for text in ("", fill(" ".join(note.split()), 100))]


def _each(found: Page) -> list[str]:
    names = [f"{c.tool} {c.settings}".strip() for c in found.columns]
    rows = [("fault", "step", "what is wrong", "caught", "step", "place", "cause", *names)]
    for row in [*found.wrong, *found.clean]:
        marks = (row.caught, row.own_step, row.place, row.named)
        ours = (
            [_cell(mark) for mark in marks] if not row.equivalent else [_cell(row.caught), *"   "]
        )
        theirs = [c.absent or _cell(bool(c.accused.get(row.name))) for c in found.columns]
        what = row.cause or row.equivalent
        rows.append((f"`{row.name}`", str(row.step or ""), what, *ours, *theirs))
    return _table(rows)


def _pairs(pairs: Sequence[Row]) -> list[str]:
    both = share(bool(row.place) for row in pairs)
    lines = [f"Both places reported: {both}.", ""]
    rows = [("faults", "both places reported", "red steps")]
    rows += [(f"`{r.name.replace('+', '` `')}`", _cell(r.place), _steps(r)) for r in pairs]
    return lines + _table(rows)


def _steps(row: Row) -> str:
    return ", ".join(map(str, row.red)) or "none"


def _cell(holds: bool | None) -> str:
    return "" if holds is None else "yes" if holds else "–"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    written: Callable[[Sequence[str]], str] = lambda row: f"| {' | '.join(row)} |"  # noqa: E731
    return [written(rows[0]), "|" + " --- |" * len(rows[0]), *map(written, rows[1:])]
