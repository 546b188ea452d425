"""The command line: one clear line and exit code 2 for wrong input; streaming; whole runs."""

import errno
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from frameworks import import_paddle
from saving import save

from jointbert.cli import main

pytest.importorskip("torch", reason="most commands run in PyTorch here")

from jointbert import stream
from jointbert.embedded import write_task
from jointbert.parser import Parser
from modelparity.errors import InputError

TINY = ["--checkpoint", "embedded", "--threads", "1", "--lr", "4e-3", "--epochs", "1", "--quiet"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[..., Any]) -> Path:
    return save(tmp_path_factory.mktemp("cli") / "model", "torch", prepared())


@pytest.fixture(scope="module")
def parser(model: Path) -> Parser:
    return Parser.from_pretrained(model, threads=1)


def test_a_disk_that_is_full_before_training_begins_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(path: Path, _: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    code = main(["train", "--data", "embedded", *TINY, "--out", str(tmp_path / "o")])
    assert "No space left on device" in line_of(capsys, code)


def test_the_embedded_task_can_be_evaluated(model: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", str(model), "--data", "embedded", "--threads", "1"]) == 0
    assert " on test: " in capsys.readouterr().out


def line_of(capsys: pytest.CaptureFixture[str], code: int) -> str:
    assert code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "none", *TINY, "--out", "{}/o"], "data none: no such directory"),
        (["train", "--data", "embedded", *TINY], "--out is missing"),
        (["train", "--data", "embedded", "--out", "{}/o"], "--checkpoint is missing"),
        (
            ["train", "--data", "embedded", *TINY, "--out", "{}/o", "--max_seq_len", "2"],
            "max_seq_len",
        ),
        (["train", "--data", "embedded", *TINY, "--out", "/dev/null"], "--out /dev/null"),
        (["train", "--config", "{}/none.toml"], "no such file"),
        (["evaluate", "{}", "--data", "embedded"], "config.json: no such file"),
        (["predict", "./none"], "no such directory"),
        (["data", "check", "{}/none"], "no such directory"),
        (["data", "convert", "{}", "{}/new"], "no train.jsonl"),
        (["import", "{}", "{}/new"], "intent_label.txt: no such file"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code = main([one.replace("{}", str(tmp_path)) for one in arguments])
    assert message in line_of(capsys, code)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["train", "--epochs", "many"],
        ["train", "--epoch", "3"],
        ["train", "--framework", "jax"],
        ["predict"],
        ["data", "get", "other", "d"],
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    line_of(capsys, stopped.value.code)


@pytest.mark.parametrize("framework", ["torch", "paddle"])
def test_a_task_of_one_s_own_is_trained_evaluated_and_kept(
    framework: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if framework == "paddle":
        import_paddle()
    row = {"intent": "play", "slots": [{"type": "artist", "start": 5, "end": 10}]}
    lines = [json.dumps({"text": f"play Björk {n}", **row}) for n in range(8)]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"framework": framework, "epochs": 9, "out": "ignored"}))
    out = tmp_path / "out"
    given = ["--data", str(tmp_path), "--out", str(out), "--config", str(config)]
    assert main(["train", *given, *TINY, "--class_weights", "both"]) == 0
    assert json.loads((out / "training.json").read_text())["options"]["epochs"] == 1
    before = (out / "model.safetensors").read_bytes()
    assert main(["train", *given, *TINY]) == 2
    assert main(["train", *given, *TINY, "--class_weights", "both", "--resume"]) == 0
    assert (out / "model.safetensors").read_bytes() == before
    reports = ["--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")]
    common = ["--data", str(tmp_path), "--framework", framework, "--threads", "1"]
    assert main(["evaluate", str(out), *common, *reports]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["sentences"] == 8
    assert "intent_acc" in capsys.readouterr().out
    page = (tmp_path / "r.html").read_text()
    assert "<!doctype html>" in page
    assert "http" not in page


def test_an_interrupted_training_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jointbert.progress.Display.on_update", interrupt)
    given = ["train", "--data", "embedded", *TINY, "--out", str(tmp_path / "o")]
    assert main(given) == 130
    assert "interrupted; the same command with --resume goes on" in capsys.readouterr().err
    monkeypatch.undo()
    assert main([*given, "--resume"]) == 0


def answers(parser: Parser, source: bytes, form: str = "auto") -> list[dict[str, Any]]:
    out = StringIO()
    stream.answer(parser, BytesIO(source), out, top_k=2, form=form)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_line_has_one_answer_in_its_order(parser: Parser):
    texts = [f"stop {n}" if n % 7 else "" for n in range(600)]
    source = "".join(f"{text}\n" for text in texts).encode()
    assert [one["text"] for one in answers(parser, source)] == texts


def test_keys_of_a_json_line_come_back(parser: Parser):
    (found,) = answers(parser, b'{"text": "stop", "id": 3}')
    assert (found["id"], found["text"], len(found["intents"])) == (3, "stop", 2)


def test_a_byte_order_mark_belongs_to_no_text(parser: Parser):
    source = b"\xef\xbb\xbf" + b'{"text": "stop", "id": 3}\n\xef\xbb\xbfgo\n'
    assert [one["text"] for one in answers(parser, source)] == ["stop", "\ufeffgo"]


def test_a_line_with_a_brace_is_text_where_that_is_said(parser: Parser):
    (found,) = answers(parser, b"{stop", "text")
    assert found["text"] == "{stop"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{stop", "not JSON"),
        (b'{"texts": 3}', "no string under the key 'text'"),
        (b'{"text": "\\ud83d"}', "surrogate"),
        (b'{"text": "stop", "id": "\\ud83d"}', "surrogate"),
        (b'{"text": "stop", "id": NaN}', "NaN is no number"),
        (b'{"text": ' * 100_000, "not JSON"),
        (b"\xff", "byte 0 is not UTF-8"),
    ],
)
def test_answers_before_a_wrong_line_are_given(parser: Parser, line: bytes, message: str):
    out = StringIO()
    with pytest.raises(InputError, match=f"input:3: .*{message}"):
        stream.answer(
            parser, BytesIO(b"stop\nplay\n" + line + b"\ngo\n"), out, top_k=1, form="auto"
        )
    assert len(out.getvalue().splitlines()) == 2


@pytest.fixture
def process(model: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "jointbert.cli", "predict", str(model), "--threads", "1"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield running
    running.kill()
    running.wait()
    for pipe in (running.stdin, running.stdout):
        if pipe is not None:
            pipe.close()


def resident(process: subprocess.Popen[bytes]) -> int:
    """Resident memory in kB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_answers_come_at_once_and_memory_stays_flat(process: subprocess.Popen[bytes]):
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("play Björk\n".encode())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["text"] == "play Björk"  # input is still open
    marks = []
    for part in range(10):
        numbers = range(part * 1000, part * 1000 + 1000)
        texts = [f"set an alarm for {n} o'clock word{n}" for n in numbers]
        for start in range(0, 1000, 100):
            process.stdin.write("".join(f"{t}\n" for t in texts[start : start + 100]).encode())
            process.stdin.flush()
            for text in texts[start : start + 100]:
                assert json.loads(process.stdout.readline())["text"] == text
        marks.append(resident(process))
    assert marks[-1] - marks[2] < 20_000, marks


def test_a_reader_that_leaves_is_no_error(process: subprocess.Popen[bytes]):
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(b"stop\n" * 50)
    process.stdin.close()
    process.stdin = None
    assert process.wait(60) == 0


# `jointbert predict` with a parser that needs no framework: what is tested is how it ends.
QUICK = """
import sys
from jointbert import cli, parser
class Quick:
    def parse(self, texts, top_k):
        return [parser.Parse(text, None, 0.0, (), (), 0, False) for text in texts]
parser.Parser.from_pretrained = lambda *_, **__: Quick()
sys.exit(cli.main(["predict", "model"]))
"""


@pytest.fixture
def quick() -> Iterator[subprocess.Popen[bytes]]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", QUICK], **pipes) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"stop\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["text"] == "stop"
        yield running
        running.kill()


def leave(process: subprocess.Popen[bytes]) -> None:
    process.stdout.close()  # type: ignore[union-attr]
    wrong(process, b"stop\n")


def wrong(process: subprocess.Popen[bytes], line: bytes = b"{stop\n") -> None:
    process.stdin.write(line)  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (lambda p: p.send_signal(signal.SIGINT), 130, b"\njointbert: interrupted\n"),
        (leave, 0, b""),
        (wrong, 2, b"jointbert: input:2: not JSON"),
    ],
    ids=["interrupted", "reader leaves", "wrong line"],
)
def test_the_command_ends_while_its_input_is_open(
    quick: subprocess.Popen[bytes], end: Callable[[Any], None], code: int, said: bytes
):
    end(quick)
    assert quick.wait(60) == code
    assert quick.stderr is not None
    error = quick.stderr.read()
    assert error.startswith(said)
    assert error.strip().count(b"\n") == 0


def test_a_closed_input_is_one_line():
    command = f"exec {sys.executable} -m jointbert.cli predict model <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jointbert: standard input is closed; connect it\n"


def test_the_embedded_task_has_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_task(tmp_path / "task")
    assert main(["data", "check", str(tmp_path / "task")]) == 0
    assert "0 errors" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--checkpoint", "./none"], ["--max_seq_len", "2"], ["--lr", "1e30"]], ids=str
)
def test_a_training_that_cannot_be_leaves_nothing(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = ["train", "--data", "embedded", *TINY, "--out", str(tmp_path / "o")]
    line_of(capsys, main([*given, *wrong]))
    assert not (tmp_path / "o").exists()


def test_a_loss_that_is_no_number_ends_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = ["train", "--data", "embedded", *TINY, "--out", str(tmp_path / "o"), "--lr", "1e30"]
    error = line_of(capsys, main([*given, "--save_steps", "1"]))
    assert "the loss is nan; lower learning_rate" in error
    assert list((tmp_path / "o" / "training").glob("*.safetensors"))


def test_a_model_of_another_origin_is_not_trained_over(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = shutil.copytree(model, tmp_path / "other")
    given = ["train", "--data", "embedded", *TINY, "--out", str(other), "--resume"]
    assert "holds a model already" in line_of(capsys, main(given))


def test_a_finished_training_is_not_resumed_with_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_task(tmp_path / "task")
    given = ["train", "--data", str(tmp_path / "task"), *TINY, "--out", str(tmp_path / "o")]
    assert main(given) == 0
    assert main([*given, "--resume"]) == 0
    path = tmp_path / "task" / "train" / "label"
    path.write_text("stop\n" + path.read_text().partition("\n")[2])
    assert "--resume: data was" in line_of(capsys, main([*given, "--resume"]))
