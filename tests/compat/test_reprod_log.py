"""The two classes of reprod_log, against that package where it is installed."""

import re

import numpy as np
import pytest

from command import modelparity
from modelparity.compat.reprod_log import ReprodDiffHelper, ReprodLogger
from modelparity.errors import InputError
from modelparity.model import Outcome

G = np.random.default_rng(0)
STAMP = re.compile(r"^\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\] root INFO: ", re.MULTILINE)


def lines(text):
    """A log without its times."""
    return STAMP.sub("", text)


def pair(dtype, shape):
    a = np.asarray(G.standard_normal(shape) * 50).astype(dtype)
    b = np.asarray(a.astype(np.float64) * (1 + 1e-5)).astype(dtype)
    return a, b


def written(info1, info2, path, **options):
    helper = ReprodDiffHelper()
    helper.compare_info(info1, info2)
    outcome = helper.report(path=str(path), **options)
    return outcome, lines(path.read_text(encoding="utf-8"))


SHAPES = [(), (1,), (7,), (130, 3), (1000, 301), (2, 3, 70_001)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8"])
def test_figures_are_those_of_numpy_to_the_last_digit(dtype, tmp_path):
    first = {f"t{i}": pair(dtype, shape) for i, shape in enumerate(SHAPES)}
    infos = [{name: both[side] for name, both in first.items()} for side in (0, 1)]
    _, log = written(*infos, tmp_path / "log.txt", diff_method="all", diff_threshold=1e9)
    for name in first:
        gap = np.abs(infos[0][name] - infos[1][name])
        for method in ("mean", "max", "min"):
            value = getattr(gap, method)()
            assert f"{name}: \n" in log
            assert f"\t{method} diff: check passed: True, value: {value}\n" in log


@pytest.mark.parametrize("method", ["mean", "max", "min", "all", ["max", "min"]])
@pytest.mark.parametrize("threshold", [1e-6, 1e-3, 10.0])
def test_the_log_is_that_of_the_package(method, threshold, tmp_path, capsys):
    theirs = pytest.importorskip("reprod_log", reason="reprod_log is not installed")
    named = {f"t{i}": pair("float32", shape) for i, shape in enumerate(SHAPES)}
    infos = [{name: both[side] for name, both in named.items()} for side in (0, 1)]
    _, ours = written(*infos, tmp_path / "ours.txt", diff_method=method, diff_threshold=threshold)
    helper = theirs.ReprodDiffHelper()
    helper.compare_info(*infos)
    helper.report(diff_method=method, diff_threshold=threshold, path=str(tmp_path / "theirs.txt"))
    assert ours == lines((tmp_path / "theirs.txt").read_text())
    assert ours in lines(capsys.readouterr().out)


def test_dictionaries_within_dictionaries_are_as_the_package_has_them(tmp_path):
    theirs = pytest.importorskip("reprod_log", reason="reprod_log is not installed")
    logs = []
    for side in (0, 1):
        x, y, z = (pair("float32", shape)[side] for shape in SHAPES[2:5])
        np.save(tmp_path / f"{side}.npy", {"ab.c": x, "a": {"b": y, "deep": {"c": z}}, 7: x})
    for helper in (ReprodDiffHelper(), theirs.ReprodDiffHelper()):
        infos = [helper.load_info(str(tmp_path / f"{side}.npy")) for side in (0, 1)]
        assert infos[0]["a"]["deep"]["c"].shape == SHAPES[4]
        helper.compare_info(*infos)
        helper.report(diff_method="all", diff_threshold=1e-3, path=str(tmp_path / "log"))
        logs.append((lines((tmp_path / "log").read_text()), helper.diff_dict))
    assert logs[0] == logs[1]
    assert "\tdeep\n\t\tc: \n\t\t\tmin diff" in logs[0][0]


def test_files_go_both_ways(tmp_path):
    theirs = pytest.importorskip("reprod_log", reason="reprod_log is not installed")
    value = pair("float32", (3, 4))[0]
    for write, read in (
        (ReprodLogger, theirs.ReprodDiffHelper),
        (theirs.ReprodLogger, ReprodDiffHelper),
    ):
        logger = write()
        logger.add("x", value)
        logger.save(str(tmp_path / "new" / "x.npy"))
        loaded = read().load_info(str(tmp_path / "new" / "x.npy"))
        assert list(loaded) == ["x"]
        assert np.array_equal(loaded["x"], value)


def test_a_logger_keeps_removes_and_clears(capsys):
    logger = ReprodLogger()
    logger.add("a", np.ones(2))
    logger.add("b", np.ones(3))
    logger.remove("a")
    assert list(logger.data) == ["b"]
    logger.remove("a")
    assert "a is not in" in capsys.readouterr().out
    logger.clear()
    assert logger.data == {}
    with pytest.raises(AssertionError, match="expected a NumPy array"):
        logger.add("c", [1.0])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.float32(1.0).reshape(()), np.float32([1.0]), "shape () against (1,)"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape (2, 3) against (3, 2)"),
        (np.ones((3, 1)), np.ones((3, 4)), "shape (3, 1) against (3, 4)"),
        (np.ones(3), np.ones(3, np.float32), "dtype float64 against float32"),
        (np.full(3, np.nan), np.ones(3), "3 elements are NaN or infinite"),
        (np.full(3, np.inf), np.full(3, np.inf), "3 elements are NaN or infinite"),
        (np.ones(0), np.ones(0), "there is nothing to compare"),
    ],
)
def test_what_the_package_lets_pass_fails(first, second, words, tmp_path):
    outcome, log = written({"x": first}, {"x": second}, tmp_path / "log", diff_threshold=1e9)
    assert outcome is Outcome.DIVERGED
    assert words in log
    assert log.endswith("diff check failed\n")
    assert "passed: True" not in log


def test_an_int8_whose_distance_is_its_own_negative_fails(tmp_path):
    a, b = np.array([-128], np.int8), np.array([0], np.int8)
    assert written({"x": a}, {"x": b}, tmp_path / "log")[0] is Outcome.DIVERGED


def test_a_name_that_one_file_lacks_fails(tmp_path):
    outcome, log = written({"x": np.ones(2)}, {"y": np.ones(2)}, tmp_path / "log")
    assert outcome is Outcome.DIVERGED
    assert "the second file has no such name" in log
    assert "the first file has no such name" in log


def test_a_name_commands_neither_terminal_nor_log(tmp_path):
    _, log = written({"x\x1b[2J\ny\ud800": np.ones(2)}, {}, tmp_path / "log")
    assert log.startswith("x y?: \n")


def test_a_dictionary_stands_above_its_arrays(tmp_path):
    first, second = {"a": {"b": np.ones(2)}}, {"a": {"b": np.ones(2), "c": np.ones(1)}}
    outcome, log = written(first, first, tmp_path / "log")
    assert outcome is Outcome.ALIGNED
    assert log.startswith("a\n\tb: \n\t\tmean diff: check passed: True, value: 0.0\n")
    outcome, log = written(first, second, tmp_path / "log")
    assert outcome is Outcome.DIVERGED
    assert "\tc: \n\t\tmean diff: check passed: False, value: nan\n\t\tthe first file" in log
    outcome, log = written(first, {"a": np.ones(2)}, tmp_path / "log")
    assert "a dictionary against an array" in log


def test_nothing_compared_is_inconclusive(tmp_path):
    assert written({}, {}, tmp_path / "log")[0] is Outcome.INCONCLUSIVE


def test_other_loggers_are_left_alone(tmp_path):
    import logging

    before = list(logging.getLogger().handlers)
    written({"x": np.ones(2)}, {"x": np.ones(2)}, tmp_path / "log")
    assert logging.getLogger().handlers == before


def test_a_pickle_that_would_call_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    np.save(tmp_path / "evil.npy", np.array({"x": Evil()}, dtype=object))
    with pytest.raises(InputError):
        ReprodDiffHelper().load_info(tmp_path / "evil.npy")


@pytest.mark.parametrize(("threshold", "code"), [("1e-9", 1), ("1", 0)])
def test_the_command_prints_the_familiar_log(tmp_path, threshold, code):
    a, b = pair("float32", (50, 3))
    for name, value in (("a", a), ("b", b)):
        logger = ReprodLogger()
        logger.add("logits", value)
        logger.save(str(tmp_path / f"{name}.npy"))
    options = ["--format", "reprod_log", "--metric", "mean", "--threshold", threshold]
    run = modelparity(tmp_path, "diff", "a.npy", "b.npy", *options)
    value, passed = np.abs(a - b).mean(), code == 0
    assert run.returncode == code, run.stderr
    assert lines(run.stdout) == (
        f"logits: \n\tmean diff: check passed: {passed}, value: {value}\n"
        f"diff check {'passed' if passed else 'failed'}\n"
    )
