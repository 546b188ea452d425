"""The error report: figures that follow from the labels, and pages that stand alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from saving import save

pytest.importorskip("torch", reason="the model is PyTorch's here")

from sklearn.metrics import classification_report

from jointbert import report_page
from jointbert.error_report import Report, evaluate
from modelparity.errors import InputError, UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[..., Any]) -> Path:
    return save(tmp_path_factory.mktemp("report") / "model", "torch", prepared())


@pytest.fixture(scope="module")
def report(model: Path, prepared: Callable[..., Any]) -> Report:
    return evaluate(model, Path(prepared()["data"]), "test", threads=1, worst=1000)


def test_support_adds_up_to_the_sentences(report: Report):
    assert sum(row.support for row in report.intents) == report.sentences == 129


def test_rows_agree_with_an_independent_scorer(report: Report, prepared: Callable[..., Any]):
    from jointbert.labels import read_labels, read_lines

    data = Path(prepared()["data"])
    known = read_labels(data).intents
    gold = [x if x in known else "UNK" for x in read_lines(data / "test" / "label")]
    predicted = list(gold)
    for one in report.worst:
        predicted[one.line - 1] = one.predicted_intent
    theirs = classification_report(gold, predicted, output_dict=True, zero_division=0)
    for row in report.intents:
        expected = theirs[row.label]
        assert (row.precision, row.recall) == (expected["precision"], expected["recall"])
        assert row.f1 == pytest.approx(expected["f1-score"])
        assert row.support == expected["support"]


def test_confusions_count_every_wrong_intent_once(report: Report):
    wrong = sum(1 for one in report.worst if one.gold_intent != one.predicted_intent)
    assert sum(one.count for one in report.confusions) == wrong
    assert report.scores["intent_acc"] == pytest.approx(1 - wrong / report.sentences)


def test_the_worst_come_first_and_all_have_an_error(report: Report):
    losses = [one.loss for one in report.worst]
    assert losses == sorted(losses, reverse=True)
    assert len(report.worst) == report.wrong
    assert report.scores["semantic_frame_acc"] == pytest.approx(1 - report.wrong / 129)
    for one in report.worst:
        assert one.gold != one.predicted or one.gold_intent != one.predicted_intent


def test_sentences_that_were_cut_are_named(report: Report):
    assert report.cut == (6,)
    assert "not read: lines 6" in report_page.terminal(report)


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(report: Report):
    from dataclasses import replace

    page = report_page.html(replace(report, model="<script>"))
    assert "<script" not in page
    assert not re.search(r"(src|href|url\()", page)


def test_a_split_that_is_not_there_is_named(model: Path, prepared: Callable[..., Any]):
    with pytest.raises(UsageError, match="--split final"):
        evaluate(model, Path(prepared()["data"]), "final")


def test_a_wrong_line_of_the_split_is_named(model: Path, task: Path):
    (task / "test" / "seq.out").write_text("O\nO\nO O B-city I-city\n")
    with pytest.raises(InputError, match=r"seq\.out:2"):
        evaluate(model, task, "test")
