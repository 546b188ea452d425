import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from example import failing, inconclusive, passing
from example_verdicts import DIVERGED, diff

from modelparity.model import Finding, Outcome
from modelparity.report.alignment import alignment
from modelparity.report.wording import LANGUAGES

SHARED = Path(os.environ.get("MODELPARITY_SHARED", Path(__file__).parents[3] / "shared"))
PUBLISHED = SHARED / "published-record.md"
CLOCK = re.compile(r"^\[[^\]]*\] ", re.MULTILINE)

needs_record = pytest.mark.skipif(
    not PUBLISHED.is_file(), reason="published-record.md is not there (set MODELPARITY_SHARED)"
)


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def section(text, number):
    return re.split(r"^## \d+\. ", text, flags=re.MULTILINE)[number]


def with_findings(number, *findings, outcome=DIVERGED, **changes):
    """The passing report with further findings in one step."""
    report = passing()
    verdicts = [
        replace(v, outcome=outcome, findings=(*v.findings, *findings), **changes)
        if v.number == number
        else v
        for v in report.verdicts
    ]
    return replace(report, outcome=outcome, verdicts=tuple(verdicts))


@needs_record
def test_the_chinese_headings_are_those_of_the_published_record():
    published = PUBLISHED.read_text(encoding="utf-8")
    assert headings(alignment(passing(), "zh")) == headings(published)


@needs_record
def test_log_lines_have_the_published_form_without_its_clock():
    lines = CLOCK.sub("", PUBLISHED.read_text(encoding="utf-8")).splitlines()
    published = {line for line in lines if "dev_0_input_ids" in line or "mean diff" in line}
    ours = set(alignment(passing(), "zh").splitlines())
    assert "root INFO: dev_0_input_ids: " in published & ours
    assert "root INFO: \tmean diff: check passed: True, value: 0.0" in published & ours


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("build", [passing, failing, inconclusive])
def test_ten_headings_stand_in_order(language, build):
    numbered = [h for h in headings(alignment(build(), language)) if h.startswith("## ")]
    assert numbered == [f"## {n + 1}. {t}" for n, t in enumerate(LANGUAGES[language].steps)]


def test_the_record_has_its_keys_in_its_order_with_published_beside_ours():
    text = section(alignment(passing()), 1)
    assert "|  | sequence_output | pooled_output |" in text
    assert "|  | intent_logits | slot_logits | total_loss |" in text
    assert "| mean difference, float32 | 3.3e-07 | 2.7e-07 |" in text
    assert "| published | 4.876189905189676e-07 | 3.2371076486015227e-07 |" in text


def test_a_misspelt_key_of_the_record_is_kept():
    assert "root INFO: dev_sementic_frame_acc: " in alignment(passing())


def test_steps_that_the_record_leaves_empty_are_filled():
    text = alignment(passing())
    for number, row in ((4, "| first_moment |"), (6, "| clip/above |"), (9, "| drawn |")):
        assert row in section(text, number)
    assert "| dev/slot_f1 | 0.9412 | 0.9397 |" in section(text, 10)


def test_passed_follows_the_outcome_and_not_the_mean():
    tiny = Finding("dev/0/input_ids", "exact", DIVERGED, "1 element differs", diff=diff(1e-9))
    text = section(alignment(with_findings(2, tiny)), 2)
    assert "dev_0_input_ids: \nroot INFO: \tmean diff: check passed: False, value: 0.0" in text
    assert "dev_1_input_ids: \nroot INFO: \tmean diff: check passed: True, value: 0.0" in text
    assert "root INFO: diff check failed" in text


def test_a_name_that_one_side_lacks_stands_in_the_log():
    lost = Finding("dev/9/input_ids", "exact", DIVERGED, "the candidate has no such array")
    text = section(alignment(with_findings(2, lost)), 2)
    assert "root INFO: dev/9/input_ids: " in text
    assert "check passed: False, value: - (the candidate has no such array)" in text


def test_a_published_key_that_was_not_compared_does_not_look_like_a_pass():
    text = section(alignment(passing()), 2)
    line = "dev_3_input_ids: \nroot INFO: \tmean diff: check passed: not compared, value: -"
    assert line in text


def test_nothing_passes_in_an_inconclusive_step():
    text = section(alignment(inconclusive()), 3)
    assert "check passed: inconclusive" in text
    assert "check passed: True" not in text
    assert "root INFO: diff check inconclusive" in text


def test_a_step_that_was_not_requested_says_so():
    text = section(alignment(inconclusive()), 4)
    assert "Not claimed" in text
    assert "aligned" not in text.replace("alignment", "").lower()


def test_a_diverged_gradient_turns_the_backward_figure():
    assert "| Outcome | diverged |" in section(alignment(failing()), 7)
    assert "| Outcome | aligned |" in section(alignment(passing()), 7)


def test_long_logs_are_folded():
    assert "<details><summary>Log: 40 names</summary>" in section(alignment(passing()), 2)
    assert "<details>" not in section(alignment(passing()), 3)


def test_an_output_that_differs_only_at_padding_is_not_passed():
    padded = Finding(
        "float64/0/slot_logits at padding", "float64", Outcome.DIVERGED, "rms", diff=diff(1e-3)
    )
    text = section(alignment(with_findings(1, padded)), 1)
    assert "| Outcome | aligned | diverged | aligned |" in text


def table_of(text):
    """The first table of a section: its head and its rows by their first cell."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head, {row[0]: row[1:] for row in rows}


@needs_record
def test_every_table_and_log_key_of_the_published_record_is_ours():
    published = CLOCK.sub("", PUBLISHED.read_text(encoding="utf-8"))
    ours = alignment(passing(), "zh")
    heads = re.findall(r"(?m)^\| (.+?) *\|\n\| -", published)
    names = {cell.strip() for head in heads for cell in head.split("|")}
    assert len(names) == 8
    for name in names:
        assert f"| {name} |" in ours


@pytest.mark.parametrize(
    ("number", "title", "ours"),
    [
        (5, "precision of the learning rate", "1e-21"),
        (8, "precision of the training data", "0.0"),
    ],
)
def test_one_published_figure_faces_one_figure_of_ours(number, title, ours):
    head, rows = table_of(section(alignment(passing()), number))
    assert head == ["", title]
    assert rows["published"] == ["0.0"]
    assert rows["mean difference"] == [ours]


def test_the_losses_of_the_updates_face_the_published_figure_of_backward():
    _, rows = table_of(section(alignment(passing()), 7))
    assert rows["mean difference, float32"] == ["3.8e-07"]
    assert rows["published"] == ["8.050096221268177e-05"]


def test_a_pattern_covers_every_element_of_what_it_matches():
    findings = (
        Finding("epoch.0/0/a", "exact", DIVERGED, "", diff=diff(3.0, elements=10)),
        Finding("epoch.1/0/a", "exact", DIVERGED, "", diff=diff(0.0, elements=20)),
    )
    report = with_findings(8)
    verdicts = [replace(v, findings=findings) if v.number == 8 else v for v in report.verdicts]
    _, rows = table_of(section(alignment(replace(report, verdicts=tuple(verdicts))), 8))
    assert rows["mean difference"] == ["1.0"]


def test_an_alias_holds_in_its_own_step_only():
    text = alignment(passing())
    assert "| total_loss |" in section(text, 1)
    assert "total_loss" not in "".join(section(text, number) for number in range(2, 11))
    assert "root INFO: dev_loss: " in section(text, 3)


def test_a_step_that_published_words_shows_them():
    assert "gives no figure for this step: *see 7*" in section(alignment(passing()), 4)


def test_a_case_without_an_older_record_has_no_published_row():
    text = alignment(replace(passing(), published={}, aliases={}))
    assert "published" not in text
    assert "| largest of" in section(text, 2)


def test_what_fails_in_the_training_data_is_listed():
    lost = Finding("epoch.0/9/a", "exact", DIVERGED, "the candidate has no such array")
    text = section(alignment(with_findings(8, lost)), 8)
    assert "epoch.0/9/a: \nroot INFO: \tmean diff: check passed: False" in text
    assert "| Outcome | diverged |" in text
