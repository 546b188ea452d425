import io
import re
from dataclasses import replace

import pytest
from example import EXAMPLES, failing, hostile, passing
from hypothesis import given
from hypothesis import strategies as st

from modelparity.model import Finding, Outcome
from modelparity.report.ladder import coverage_items
from modelparity.report.terminal import SHOWN, Progress, ladder
from modelparity.report.text import cells, clean, pad, squeeze, wrap

REPORTS = {**EXAMPLES, "large": lambda: failing(layers=12, updates=900), "hostile": hostile}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("title", REPORTS)
def test_no_line_is_wider_than_80_columns(title):
    assert max(cells(line) for line in ladder(REPORTS[title]()).splitlines()) <= 80


@pytest.mark.parametrize("title", EXAMPLES)
def test_colour_adds_nothing_but_colour(title):
    report = EXAMPLES[title]()
    coloured = ladder(report, colour=True)
    assert coloured != ladder(report)
    assert COLOURS.sub("", coloured) == ladder(report)


def test_the_ladder_has_ten_rungs_before_any_detail():
    lines = ladder(failing()).splitlines()
    assert [line.split()[0] for line in lines[3:13]] == [str(n) for n in range(1, 11)]


def test_a_step_that_was_not_requested_is_not_claimed():
    assert " 9  initialisation    not claimed" in ladder(failing()).splitlines()


def test_outcomes_differ_in_words():
    lines = ladder(failing()).splitlines()
    assert "DIVERGED" in lines[3]
    assert "aligned" in lines[4]
    assert "DIVERGED" not in lines[4]


def test_a_red_step_says_where_how_far_why_and_what_to_try():
    text = ladder(failing())
    assert "where    bert.encoder.layer.0.output.LayerNorm.eps" in text
    assert "how far  no difference is allowed" in text
    assert "why      1e-08 against 1e-12" in text
    assert "try      set epsilon to 1e-12" in text


def test_findings_are_capped_and_counted():
    verdict = replace(failing(layers=3).verdicts[0], notes=())
    details = ladder(replace(passing(), verdicts=(verdict,), outcome=Outcome.DIVERGED))
    details = details.split("\n\n")[2]
    shown = 1 + sum(
        line.startswith(" " * 13) and "more" not in line for line in details.split("\n")
    )
    assert shown < 2 * SHOWN
    assert re.search(r"and \d+ more", details)


def test_the_last_line_is_the_outcome():
    assert ladder(failing()).splitlines()[-1].startswith("DIVERGED: steps 1, 7, 10 diverged")


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "\x1b]0;t\x07red", "\x9b2Jred", "\x1bcred", "\x1bPq\x1b\\red"]
)
def test_terminal_sequences_are_removed_whole(text):
    assert clean(text) == "red"


@given(st.text())
def test_cleaned_text_is_printable(text):
    assert clean(text).isprintable()


def test_a_printable_text_stays_as_it_is():
    assert clean("编码器.layer[0] — ok") == "编码器.layer[0] — ok"


@given(st.text(alphabet="ab 编.码é"), st.integers(min_value=2, max_value=30))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(alphabet="ab编 "), st.integers(min_value=3, max_value=20))
def test_padded_text_fills_its_columns(text, width):
    assert cells(pad(text, width)) == width


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(stream, times, **options):
    """What a progress says of one piece of work, told at these seconds."""
    clock = iter(times)
    progress = Progress(stream=stream, clock=lambda: next(clock), **options)
    for number in range(len(times)):
        progress.update("forward", number, 100)
    progress.close()
    return stream.getvalue()


def test_without_a_terminal_progress_is_a_plain_line_now_and_then():
    assert told(io.StringIO(), [0.0, 1.0, 2.0, 11.0]) == "forward  0/100\nforward  3/100\n"


def test_new_work_is_always_told():
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=lambda: 0.0)
    progress.update("forward", 0, 1)
    progress.update("backward", 0, 1)
    assert stream.getvalue() == "forward\nbackward\n"


def test_on_a_terminal_progress_is_one_line_that_is_removed():
    text = told(Terminal(), [0.0, 1.0, 2.0])
    assert "\n" not in text
    assert text.count("forward") == 3
    assert text.endswith("\r\x1b[2K")


def test_a_quiet_progress_says_nothing():
    assert told(Terminal(), [0.0, 1.0], quiet=True) == ""


def test_progress_neutralises_what_a_recorder_says():
    stream = io.StringIO()
    Progress(stream=stream).update("\x1b[2Jforward", 0, 1)
    assert stream.getvalue() == "forward\n"


def test_one_of_a_kind_is_written_in_the_singular():
    covered = {"dev batches": 1, "entries": 1, "parameters transferred": 1, "updates": 2}
    assert coverage_items(covered) == [
        "1 dev batch",
        "1 entry",
        "1 parameter transferred",
        "2 updates",
    ]


def test_a_long_name_keeps_its_end():
    name = "float64/gradient/0/bert.encoder.layer.11.attention.self.query.weight"
    squeezed = squeeze(name, 40)
    assert len(squeezed) <= 40
    assert squeezed.endswith("self.query.weight")
    assert squeezed.startswith("float64/")
    assert squeeze(name, 80) == name


def test_steps_that_fail_for_one_reason_say_it_once():
    report = passing()
    reason = "the candidate side offers no evaluate()"
    finding = Finding("", "completeness", Outcome.INCONCLUSIVE, reason)
    verdicts = tuple(
        replace(v, outcome=Outcome.INCONCLUSIVE, reason=reason, findings=(finding,), notes=())
        if v.number in (3, 4)
        else v
        for v in report.verdicts
    )
    text = ladder(replace(report, outcome=Outcome.INCONCLUSIVE, verdicts=verdicts))
    assert text.count(reason) == 1
    assert " 3  metrics and loss: inconclusive\n 4  optimizer: inconclusive\n    why" in text
