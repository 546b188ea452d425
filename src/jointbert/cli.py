"""jointbert train | evaluate | predict | data | import: parse, call, exit code.

0: done. 1: `data check` has found errors. 2: an argument, file or directory that cannot be used;
one line says which and why.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from jointbert import commands, workers
from jointbert.options import ALIASES, Options, make_options, read_config
from jointbert.workers import PeerLost
from modelparity import ParityError, UsageError

PLACES = ("data", "checkpoint", "out", "framework")  # of a training, besides its options
FRAMEWORKS = ("torch", "paddle")
DATA = "a directory in the seq.in/seq.out/label layout or of JSON Lines, or: embedded"


class _Help(argparse.HelpFormatter):
    """One spelling an option; a choice lists what it may be, others name their kind."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"--[no-]{action.dest}"
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        shown = self._format_args(action, str(action.metavar or action.dest).upper())
        return f"{action.option_strings[0]} {shown}"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(words)
    given.words = words
    try:
        return int(given.run(given))
    except PeerLost as error:
        if workers.PARENT not in os.environ:  # which says what has happened
            print(f"jointbert: {error}", file=sys.stderr)
        return workers.LOST
    except ParityError as error:
        line = " ".join(str(error).split("\n"))
        print(f"jointbert: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Who read the answers has gone. Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A disk that is full, a file without permission: where no better message was made.
        print(f"jointbert: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        more = "; the same command with --resume goes on" if given.run is _train else ""
        print(f"\njointbert: interrupted{more}", file=sys.stderr)
        return 130


def _parser() -> _Parser:
    parser = _Parser(prog="jointbert", description="Intents and slots from one BERT encoder.")
    commands_of = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_train(_command(commands_of, "train", "train a model and save the best epoch's", _train))
    _add_evaluate(_command(commands_of, "evaluate", "score a saved model", commands.evaluate))
    _add_predict(_command(commands_of, "predict", "text lines to JSON Lines", commands.predict))
    _add_import(_command(commands_of, "import", "take over another's model", commands.take_over))
    data = commands_of.add_parser("data", help="fetch, check or convert a task")
    data_commands = data.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = _command(data_commands, "check", "report what is wrong with a task", commands.check)
    check.add_argument("directory", type=Path, metavar="DIR")
    check.add_argument("--json", action="store_true", help="findings as one JSON object")
    get = _command(data_commands, "get", "download a public task", commands.get)
    get.add_argument("task", choices=("atis", "snips"))
    get.add_argument("directory", type=Path, metavar="DIR")
    get.add_argument("--base-url", default="", help="fetch from below this address instead")
    convert = _command(data_commands, "convert", "JSON Lines to seq.in etc.", commands.convert)
    convert.add_argument("source", type=Path, metavar="FROM")
    convert.add_argument("target", type=Path, metavar="TO")
    return parser


def _command(
    of: Any, name: str, meaning: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = of.add_parser(
        name, help=meaning, description=meaning, allow_abbrev=False, formatter_class=_Help
    )
    command.set_defaults(run=run)
    return command


def _spellings(name: str) -> list[str]:
    names = [name, *(alias for alias, meant in ALIASES.items() if meant == name)]
    return [f"--{n}" for n in dict.fromkeys(x for n in names for x in (n, n.replace("_", "-")))]


def _add_train(command: argparse.ArgumentParser) -> None:
    unset = argparse.SUPPRESS
    command.usage = (
        "%(prog)s --data DIR --checkpoint DIR --out DIR\n"
        "                       [--framework torch|paddle] [--config FILE] [option ...]"
    )
    command.epilog = (
        "Dashes may stand for underscores, and other spellings in wide use are understood: "
        + ", ".join(f"--{alias} for --{name}" for alias, name in ALIASES.items())
    )
    places = {
        "data": DATA,
        "checkpoint": "BERT's directory in Hugging Face layout, a hub name, or: embedded",
        "out": "where the model goes",
    }
    for name, meaning in places.items():
        command.add_argument(
            *_spellings(name), dest=name, default=unset, metavar="DIR", help=meaning
        )
    _add_framework(command, unset)
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="a TOML or JSON file of options"
    )
    command.add_argument("--resume", action="store_true", help="go on where --out was left")
    command.add_argument("--tensorboard", type=Path, metavar="DIR", help="write scalars there")
    command.add_argument("--quiet", action="store_true", help="no progress")
    for one in fields(Options):
        kind = type(one.default)
        meaning = f"{one.metadata['meaning']} ({one.default})"
        names, known = _spellings(one.name), one.metadata["choices"] or None
        if kind is bool:
            command.add_argument(
                *names,
                dest=one.name,
                action=argparse.BooleanOptionalAction,
                default=unset,
                help=meaning,
            )
        else:
            command.add_argument(
                *names,
                dest=one.name,
                type=kind,
                choices=known,
                metavar=None if known else "N" if isinstance(one.default, int) else "X",
                default=unset,
                help=meaning,
            )


def _add_framework(command: argparse.ArgumentParser, default: str = "torch") -> None:
    command.add_argument(
        "--framework", choices=FRAMEWORKS, default=default, help="which one computes (torch)"
    )


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="a saved model's directory or hub name")
    command.add_argument("--data", required=True, type=Path, metavar="DIR", help=DATA)
    command.add_argument("--split", default="test", help="train, dev or test (test)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    command.add_argument("--html", type=Path, metavar="FILE", help="write it as one HTML page")
    command.add_argument(
        "--worst", type=int, default=20, metavar="N", help="wrong sentences that are listed (20)"
    )
    command.add_argument(
        "--eval_batch_size",
        "--eval-batch-size",
        type=int,
        default=64,
        metavar="N",
        help="sentences a batch (64)",
    )
    _add_running(command)


def _add_predict(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="a saved model's directory or hub name")
    command.add_argument(
        "--input",
        default="auto",
        choices=("auto", "text", "json"),
        help="what a line is; auto: json where it begins with a brace (auto)",
    )
    command.add_argument(
        "--top_k", "--top-k", type=int, default=3, metavar="N", help="intents named (3)"
    )
    _add_running(command)


def _add_running(command: argparse.ArgumentParser) -> None:
    _add_framework(command)
    command.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "bfloat16"),
        help="of the encoder's arithmetic (float32)",
    )
    command.add_argument(
        "--threads", type=int, default=0, metavar="N", help="processor threads; 0: all cores (0)"
    )


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, metavar="DIR", help="the other's model directory")
    command.add_argument("out", type=Path, metavar="OUT", help="where the saved model goes")
    command.add_argument(
        "--labels", type=Path, metavar="DIR", help="directory of its label files (the first DIR)"
    )
    command.add_argument(
        "--tokenizer", default="", metavar="NAME", help="directory or hub name with vocab.txt"
    )
    command.add_argument(
        "--max_seq_len",
        "--max-seq-len",
        type=int,
        default=50,
        metavar="N",
        help="pieces a sentence had in its training, [CLS] and [SEP] included (50)",
    )


def _train(given: argparse.Namespace) -> int:
    names = [*(one.name for one in fields(Options)), *PLACES]
    values: dict[str, Any] = {"framework": "torch"}
    if given.config is not None:
        values |= read_config(given.config, PLACES)
    values |= {name: getattr(given, name) for name in names if hasattr(given, name)}
    places = {name: _place(values, name) for name in PLACES}
    options = make_options({k: v for k, v in values.items() if k not in PLACES})
    return commands.train(given, places, options)


def _place(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not a word")
    if not value:
        raise UsageError(f"--{name} is missing; name it there or in the configuration file")
    if name == "framework" and value not in FRAMEWORKS:
        raise UsageError(f"framework: {value!r}; one of {', '.join(FRAMEWORKS)}")
    return value


if __name__ == "__main__":
    sys.exit(main())
