"""Options: names, defaults, files and what cannot be used."""

from pathlib import Path

import pytest

from jointbert.cli import main
from jointbert.options import Options, make_options, read_config
from modelparity.errors import InputError, UsageError


def test_defaults_are_the_field_s():
    options = Options()
    assert (options.max_seq_len, options.batch_size, options.learning_rate) == (50, 32, 5e-5)
    assert (options.adam_epsilon, options.max_grad_norm, options.dropout) == (1e-8, 1.0, 0.1)
    assert (options.ignore_index, options.slot_loss_coef, options.schedule) == (0, 1.0, "linear")


@pytest.mark.parametrize("name", ["o.toml", "o.json"])
def test_a_file_may_use_the_field_s_other_spellings(tmp_path: Path, name: str):
    text = {
        "o.toml": "num_train_epochs = 3\nlr = 1e-3\nuse-crf = true\n",
        "o.json": '{"num_train_epochs": 3, "lr": 0.001, "use-crf": true}',
    }
    path = tmp_path / name
    path.write_text(text[name])
    options = make_options(read_config(path, ()))
    assert (options.epochs, options.learning_rate, options.crf) == (3, 1e-3, True)


def test_an_unknown_option_in_a_file_is_named_with_the_nearest(tmp_path: Path):
    path = tmp_path / "o.toml"
    path.write_text("epoch = 3\n")
    with pytest.raises(
        UsageError, match=r"o\.toml: option 'epoch' is unknown; did you mean epochs"
    ):
        read_config(path, ())


@pytest.mark.parametrize("text", ["epochs = ", "\udcff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str):
    path = tmp_path / "o.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"o\.toml"):
        read_config(path, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("dropout", 1.0),
        ("max_seq_len", 2),
        ("ignore_index", 3),
        ("schedule", "cosine"),
        ("class_weights", "slot"),
        ("precision", "float16"),
        ("crf", "yes"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: object):
    with pytest.raises(UsageError, match=name):
        make_options({name: value})


@pytest.mark.parametrize("other", [{"ignore_index": -100}, {"class_weights": "slots"}])
def test_the_crf_refuses_what_it_cannot_do(other: dict[str, object]):
    with pytest.raises(UsageError, match="CRF"):
        make_options({"crf": True, **other})


def test_the_help_of_every_command_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["train"], ["evaluate"], ["predict"], ["import"], ["data", "check"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert any("--learning_rate X" in line for line in lines)
