import json
import math
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from example import EXAMPLES, failing, hostile, inconclusive, passing

from modelparity.errors import InputError, UsageError
from modelparity.model import Finding, Outcome, Verdict
from modelparity.report import FORMATS, write_all
from modelparity.report.html import FOLDED, SHOWN, as_html
from modelparity.report.json import as_json
from modelparity.report.junit import as_junit
from modelparity.report.ladder import offenders, worst
from modelparity.report.markdown import as_markdown, code, escape
from modelparity.report.terminal import ladder

RENDERERS = {**FORMATS, "terminal": ladder}


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", RENDERERS)
def test_no_renderer_passes_control_characters_on(name):
    text = RENDERERS[name](hostile())
    text.encode("utf-8")
    allowed = {"\n", "\t"} if name == "alignment.md" else {"\n"}
    found = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn")}
    assert found <= allowed


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("title", EXAMPLES)
def test_rendering_twice_gives_the_same_text(name, title):
    assert RENDERERS[name](EXAMPLES[title]()) == RENDERERS[name](EXAMPLES[title]())


def test_json_writes_nan_and_infinity_as_strings():
    steps = strict(as_json(failing()))["steps"]
    assert steps[0]["worst"]["ratio"] == 10769.2
    assert steps[-1]["series"]["gap"][-1] == "NaN"
    assert next(f for f in steps[0]["findings"] if f["rule"] == "exact")["ratio"] == "Infinity"


def test_json_of_hostile_texts_is_strict():
    assert strict(as_json(hostile()))["outcome"] == "diverged"


def test_json_lists_everything_not_aligned_and_twenty_aligned():
    report = failing(layers=12)
    step, verdict = strict(as_json(report))["steps"][0], report.verdicts[0]
    off = [f for f in verdict.findings if f.outcome is not Outcome.ALIGNED]
    outcomes = [f["outcome"] for f in step["findings"]]
    assert outcomes.count("diverged") == len(off)
    assert outcomes.count("aligned") == 20
    assert step["compared"] == len(verdict.findings)


def test_json_says_null_where_nothing_was_measured():
    step = strict(as_json(inconclusive()))["steps"][2]
    off = [f for f in step["findings"] if f["outcome"] == "inconclusive"]
    assert off[0]["max_abs"] is None
    assert off[0]["index"] is None


def test_the_worst_finding_of_a_diverged_step_is_diverged():
    lost = Finding("weight", "exact", Outcome.DIVERGED, "no such parameter", ratio=math.inf)
    near = passing().verdicts[0].findings[0]
    assert worst(Verdict(1, "forward", Outcome.DIVERGED, "", (near, lost))) is lost


def test_a_nan_ratio_is_worse_than_any_number():
    lost = Finding("a", "float64", Outcome.DIVERGED, ratio=math.nan)
    far = Finding("b", "float64", Outcome.DIVERGED, ratio=1e9)
    assert worst(Verdict(1, "forward", Outcome.DIVERGED, "", (far, lost))) is lost


def test_the_finding_that_the_reason_quotes_is_read_first():
    verdict = failing().verdicts[0]
    first = offenders(verdict)[0]
    assert f"{first.name}: {first.message}" == verdict.reason


def test_junit_has_one_case_a_step_and_one_kind_an_outcome():
    red = ElementTree.fromstring(as_junit(failing()))
    grey = ElementTree.fromstring(as_junit(inconclusive()))
    kinds = [case[0].tag for case in red]
    assert [n + 1 for n, kind in enumerate(kinds) if kind == "failure"] == [1, 7, 10]
    assert kinds[8] == "skipped"
    assert red.attrib["failures"] == "3"
    assert grey.find("testcase/error").attrib["message"].startswith("inconclusive: ")
    assert (grey.attrib["errors"], grey.attrib["skipped"]) == ("1", "7")


def test_junit_of_hostile_texts_parses():
    assert len(ElementTree.fromstring(as_junit(hostile()))) == 10


class Page(HTMLParser):
    """Checks that elements nest, and collects tags, attributes and shown text."""

    VOID = ("meta", "wbr")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.shown = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.shown.append(data)


def page(report):
    parser = Page()
    parser.feed(FORMATS["report.html"](report))
    parser.close()
    assert parser.open == []
    return parser


@pytest.mark.parametrize("title", [*EXAMPLES, "hostile"])
def test_html_is_self_contained(title):
    parsed = page({**EXAMPLES, "hostile": hostile}[title]())
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(parsed.tags)
    names = {name for name, _ in parsed.attributes}
    assert not {"src", "srcset", "style", "xlink:href"} & names
    assert not [name for name in names if name.startswith("on")]
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")


def test_the_style_sheet_fetches_nothing():
    text = FORMATS["report.html"](passing())
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_claimed_step_has_its_section_and_its_link():
    attributes = page(failing()).attributes
    sections = {v for k, v in attributes if k == "id"}
    links = {v.removeprefix("#") for k, v in attributes if k == "href"}
    assert sections == links == {f"step-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10)}


def test_html_says_nan_where_a_curve_is_lost():
    assert "nan ×" in page(failing()).shown
    assert "nan ×" not in page(passing()).shown


def test_html_draws_a_chart_a_curve():
    assert ("class", "chart") in page(passing()).attributes
    titles = " ".join(page(passing()).shown)
    for title in (
        "Growth of the gap over the modules",
        "Learning rate of both sides",
        "Loss of both sides",
        "Float32: gap of the losses and what is allowed",
        "Float64: gap of the losses, which decides",
        "horizon, update 7",
    ):
        assert title in titles


def test_html_draws_no_horizon_that_the_run_does_not_reach():
    training = passing().verdicts[-1]
    details = {**training.details, "horizon": len(training.series["gap"])}
    report = replace(passing(), verdicts=(replace(training, details=details),))
    assert not [text for text in page(report).shown if text.startswith("horizon, update")]


def test_markdown_names_the_first_red_place_and_both_versions():
    text = as_markdown(failing())
    assert "`bert.encoder.layer.0.output.LayerNorm.eps`" in text
    assert "| `torch` | `2.13.0` |  |" in text


def test_markdown_rows_keep_their_columns_whatever_a_name_holds():
    lines = as_markdown(hostile()).replace("\\\\", "").replace("\\|", "").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {3, 4, 6}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>", "\\<b\\>"),
        ("a|b", "a\\|b"),
        ("slot_f1_score", "slot_f1_score"),
        ("_emphasis_", "\\_emphasis\\_"),
        ("# heading", "\\# heading"),
    ],
)
def test_markdown_shows_text_as_it_is(text, expected):
    assert escape(text) == expected


def test_a_code_span_cannot_be_closed_from_inside():
    assert code("a`b|c") == "`a'b\\|c`"


def test_all_formats_are_written_and_nothing_else(tmp_path):
    written = write_all(passing(), tmp_path / "new" / "out", language="zh")
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == sorted(FORMATS)
    assert sorted(p.name for p in written) == sorted(FORMATS)
    assert "# 对齐工作说明" in (tmp_path / "new/out/alignment.md").read_text(encoding="utf-8")


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    write_all(passing(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError, match="No space left"):
        write_all(failing(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_directory_that_is_a_file_is_an_input_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="reports cannot be written"):
        write_all(passing(), tmp_path / "out")


def test_an_unknown_language_writes_nothing(tmp_path):
    with pytest.raises(UsageError, match="language fr"):
        write_all(passing(), tmp_path / "out", language="fr")
    assert not (tmp_path / "out").exists()


def test_a_report_without_verdicts_renders_in_every_format():
    empty = replace(passing(), verdicts=(), outcome=Outcome.INCONCLUSIVE, manifests={})
    for render in RENDERERS.values():
        assert "not claimed" in render(empty).lower() or render is as_json


def test_json_gives_every_published_figure_with_ours():
    steps = {step["number"]: step for step in strict(as_json(passing()))["steps"]}
    pooled = next(one for one in steps[1]["published"] if one["key"] == "pooled_output")
    assert pooled == {
        "key": "pooled_output",
        "published": "3.2371076486015227e-07",
        "float32": 2.7e-07,
        "float64": 5.2e-16,
        "outcome": "aligned",
    }
    assert [one["published"] for one in steps[8]["published"]] == ["0.0"]
    assert steps[4]["published"] == "see 7"
    assert steps[9]["published"] == []


def test_json_does_not_pass_a_published_figure_that_was_not_compared():
    step = strict(as_json(passing()))["steps"][1]
    lost = next(one for one in step["published"] if one["key"] == "dev_3_input_ids")
    assert (lost["float32"], lost["outcome"]) == (None, "not compared")


def test_html_folds_what_follows_the_first_findings():
    section = as_html(failing(layers=6)).partition('id="step-1"')[2].partition("</section>")[0]
    in_sight = section.partition("<details>")[0]
    assert in_sight.count('<td class="what">') == SHOWN
    assert f"more, the first {FOLDED}</summary>" in section


def test_html_has_no_table_for_a_reason_without_a_place():
    report = passing()
    finding = Finding("", "completeness", Outcome.INCONCLUSIVE, "no evaluate()")
    lacking = replace(
        report.verdicts[2],
        outcome=Outcome.INCONCLUSIVE,
        reason="no evaluate()",
        findings=(finding,),
    )
    page = as_html(replace(report, outcome=Outcome.INCONCLUSIVE, verdicts=(lacking,)))
    assert page.count("no evaluate()") == 1
    assert 'class="findings"' not in page
