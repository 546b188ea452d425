"""How fast training and prediction are: buckets against padding, Paddle against torch, a peer.

    python benchmarks/jointbert_speed.py --data DIR --checkpoint DIR [--peer DIR] [--json]

--data holds the tasks atis and snips. One process a framework measures all forms of batches; these
take turns every second or two, and of each batch the fastest of all rounds counts: other work on
the machine falls out. What is timed is what `jointbert train` and `jointbert predict` run. With
--json the last line is one object.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from jointbert.memory import keep_freed
from jointbert.parser import by_length

FRAMEWORKS = ("torch", "paddle")
BATCH = 32  # the product's default, in training and in prediction
TRAINED = {True: 24, False: 5}  # batches timed with buckets and without; the latter cost the same
PREDICTED = 5  # batches of padded prediction timed; bucketed prediction takes the whole split
TURNS = 5  # in which the forms share a round
HALF = "bucketed bfloat16"
Times = list[tuple[float, int]]  # seconds and sentences of each batch


class Worker:
    """One framework in this process, told what to time by the parent."""

    def __init__(self, framework: str, given: argparse.Namespace) -> None:
        self.framework = framework
        self.given = given
        for name in ("data", "train", "predict", "model"):
            setattr(self, name, importlib.import_module(f"jointbert.in_{framework}.{name}"))
        self.models: dict[str, Any] = {}

    def settings(self, task: str, **changes: Any) -> dict[str, Any]:
        return {
            "data": f"{self.given.data}/{task}",
            "checkpoint": self.given.checkpoint,
            "pretrained": True,
            "crf": False,
            "dropout": 0.1,
            "ignore_index": 0,
            "slot_loss_coef": 1.0,
            "max_seq_len": 50,
            "batch_size": BATCH,
            "eval_batch_size": BATCH,
            "bucket": True,
            "attention": "eager",
            "precision": "float32",
            "learning_rate": 3e-4,
            "schedule": "linear",
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "adam_epsilon": 1e-8,
            "max_grad_norm": 1.0,
            "seed": 1234,
            "epochs": 10,
            "threads": self.given.threads,
            **changes,
        }

    def prepare(self, task: str) -> str:
        """Train a model for some updates, so that predictions mean something."""
        settings = self.settings(task)
        self.predict.start(settings)
        keep_freed()
        run = self.train._begin(settings, self.train.ALONE)
        losses = list(islice(self.train._epoch(run, settings, 0, 0), self.given.updates))
        self.models[task] = run
        return f"loss {losses[0]:.3f} -> {losses[-1]:.3f}"

    def training(self) -> dict[str, Times]:
        """Of each form: batches made, run, differentiated, and the update.

        The batches are spread evenly over the lengths of an epoch's.
        """
        run, forms = self.models["atis"], {}
        run.model.train()
        for bucket in (True, False):
            settings = self.settings("atis", bucket=bucket)
            examples = self.data.encode(settings, "train")
            order = self.data.training_order(settings, examples, 1)
            order.sort(key=lambda batch, of=examples: max(len(of[i].ids) for i in batch))
            places = (np.arange(TRAINED[bucket]) + 0.5) * len(order) / TRAINED[bucket]
            one = partial(self._train, run, settings, examples)
            name = "bucketed" if bucket else "padded"
            forms[name] = (one, [order[int(place)] for place in places])
        return in_turns(forms)

    def _train(self, run: Any, settings: Any, examples: Any, indices: list[int]) -> None:
        batches = list(self.data._load(settings, examples, [indices]))
        self.train._update(run, settings, batches)

    def prediction(self, half: bool) -> dict[str, Times]:
        """Of each form, on ATIS test; of padded batches only the first few."""
        forms = {}
        for name in ("bucketed", "padded", *([HALF] if half else [])):
            precision = "bfloat16" if name == HALF else "float32"
            model, settings, rows, order = self._prediction("atis", name != "padded", precision)
            one = partial(self._predict, model, settings, rows)
            forms[name] = (one, order[:PREDICTED] if name == "padded" else order)
        return in_turns(forms)

    def _predict(self, model: Any, settings: Any, rows: Any, indices: list[int]) -> Any:
        return self.predict.predict(model, settings, [rows[i] for i in indices])

    def _prediction(self, task: str, bucket: bool, precision: str) -> Any:
        settings = self.settings(task, bucket=bucket, precision=precision)
        model = self.models[task].model
        if precision == "bfloat16":
            model = self._half(task, settings)
        model.eval()
        examples = self.data.encode(settings, "test")
        rows = [example.ids[1:-1] for example in examples]
        if bucket:
            lengths = [len(example.ids) for example in examples]
            return model, settings, rows, list(by_length(lengths, settings["max_seq_len"]))
        return model, settings, rows, self.data.evaluation_order(settings, examples)

    def _half(self, task: str, settings: Mapping[str, Any]) -> Any:
        key = f"{task} bfloat16"
        if key not in self.models:
            self.predict.start(settings)
            model = self.model.build_model(settings)
            model.load_state_dict(self.models[task].model.state_dict())
            model.bert.to(importlib.import_module("torch").bfloat16)
            self.models[key] = model
        return self.models[key]

    def labels(self, task: str, bucket: bool, precision: str = "float32") -> list[list[int]]:
        """Of each sentence of the test split the intent, then the slot label of each piece."""
        model, settings, rows, order = self._prediction(task, bucket, precision)
        found: list[list[int]] = [[]] * len(rows)
        for indices in order:
            got = self._predict(model, settings, rows, indices)
            for row, index in enumerate(indices):
                slots = got.slots[row][1 : len(rows[index]) + 1].tolist()
                found[index] = [int(got.intents[row].argmax()), *slots]
        return found

    def has_bfloat16(self) -> bool:
        """Whether this framework offers it on this processor."""
        from modelparity.errors import UsageError

        try:
            self.predict.start(self.settings("atis", precision="bfloat16"))
        except UsageError:
            return False
        return True

    def facts(self) -> dict[str, str]:
        module = importlib.import_module(self.framework)
        mkl = os.environ.get("MKL_DEBUG_CPU_TYPE", "")
        return {"version": module.__version__, "MKL_DEBUG_CPU_TYPE": mkl}


def in_turns(forms: Mapping[str, tuple[Callable[[Any], None], list[Any]]]) -> dict[str, Times]:
    """Time the batches of each form, a share of each in turn, whose first also runs untimed."""
    times: dict[str, Times] = {name: [] for name in forms}
    for turn in range(TURNS):
        for name, (function, batches) in forms.items():
            first, last = (len(batches) * number // TURNS for number in (turn, turn + 1))
            share = batches[first:last]
            for number, batch in enumerate([*share[:1], *share]):
                began = time.perf_counter()
                function(batch)
                if number:
                    times[name].append((time.perf_counter() - began, len(batch)))
    return times


def work(given: argparse.Namespace) -> None:
    """Answer the parent's calls, one JSON object a line."""
    worker = Worker(given.worker, given)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        out.write(json.dumps(getattr(worker, name)(*arguments)) + "\n")
        out.flush()


class Remote:
    """A worker in a process of its own."""

    def __init__(self, framework: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, __file__, *arguments, "--worker", framework]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, *call: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"jointbert_speed: the process of {self.process.args} ended; see above")
        return json.loads(line)


def measure(given: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Everything, as one object."""
    say(given, "starting")
    remotes = {one: Remote(one, arguments) for one in FRAMEWORKS}
    for framework, remote in remotes.items():
        for task in ("atis", "snips"):
            say(given, f"{framework}, {task}: {remote.call('prepare', task)}")
    half = {one: remote.call("has_bfloat16") for one, remote in remotes.items()}
    best: dict[tuple[str, str, str], Times] = {}
    for number in range(given.rounds):
        say(given, f"round {number + 1} of {given.rounds}")
        for framework, remote in remotes.items():
            for what, arguments in (("training", ()), ("prediction", (half[framework],))):
                for form, times in remote.call(what, *arguments).items():
                    before = best.get((framework, what, form), times)
                    best[framework, what, form] = [
                        (min(a[0], b[0]), a[1]) for a, b in zip(before, times, strict=True)
                    ]
    rates = {
        key: sum(n for _, n in times) / sum(t for t, _ in times) for key, times in best.items()
    }
    return {**ratios(rates), **changes(given, remotes, half), **facts(given, remotes)}


def ratios(rates: Mapping[tuple[str, str, str], float]) -> dict[str, Any]:
    """Sentences a second, and how they compare."""

    def over_padded(what: str, form: str = "bucketed") -> dict[str, float]:
        return {
            framework: round(rates[framework, what, form] / rates[framework, what, "padded"], 3)
            for framework in FRAMEWORKS
            if (framework, what, form) in rates
        }

    def paddle_over_torch(what: str) -> float:
        return round(rates["torch", what, "bucketed"] / rates["paddle", what, "bucketed"], 3)

    return {
        "train_bucketed_over_padded": over_padded("training"),
        "predict_bucketed_over_padded": over_padded("prediction"),
        "predict_bfloat16_bucketed_over_padded": over_padded("prediction", HALF),
        "paddle_over_torch_train_time": paddle_over_torch("training"),
        "paddle_over_torch_predict_time": paddle_over_torch("prediction"),
        "examples_per_second": {" ".join(key): round(rate, 1) for key, rate in rates.items()},
    }


def changes(
    given: argparse.Namespace, remotes: Mapping[str, Remote], half: Mapping[str, bool]
) -> dict[str, Any]:
    """Intents and slot labels of both test splits that differ from padded float32's."""
    counts: dict[str, int] = {}
    for framework, remote in remotes.items():
        for task in ("atis", "snips"):
            say(given, f"{framework}, {task}: comparing predictions")
            padded = remote.call("labels", task, False)
            for precision in ("float32", "bfloat16"):
                if precision == "bfloat16" and not half[framework]:
                    continue
                bucketed = remote.call("labels", task, True, precision)
                name = f"{framework} {task} {precision}"
                counts[name] = sum(
                    int(np.sum(np.array(a) != np.array(b)))
                    for a, b in zip(padded, bucketed, strict=True)
                )
    return {
        "changed_predictions": sum(n for name, n in counts.items() if name.endswith("float32")),
        "changed_predictions_bfloat16": {
            name: n for name, n in counts.items() if name.endswith("bfloat16")
        },
    }


def facts(given: argparse.Namespace, remotes: Mapping[str, Remote]) -> dict[str, Any]:
    """What the figures depend on; and the peer's."""
    found: dict[str, Any] = {
        "threads": given.threads or os.cpu_count(),
        "rounds": given.rounds,
        "frameworks": {one: remote.call("facts") for one, remote in remotes.items()},
    }
    if given.peer:
        found["peer"] = peer(given)
    return found


def peer(given: argparse.Namespace) -> dict[str, Any]:
    """The rates of a peer's checkout, run by its own classes in its own interpreter."""
    driver = Path(__file__).with_name("jointbert_peer.py")
    command = [given.peer_python, str(driver), given.peer, given.data, given.checkpoint]
    command += [str(given.threads), str(given.rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"error": f"the peer's checkout does not run here: {lines[-1]}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def say(given: argparse.Namespace, text: str) -> None:
    if not given.worker:
        print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="directory with the tasks atis and snips")
    parser.add_argument("--checkpoint", required=True, help="BERT in Hugging Face layout")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--updates", type=int, default=60, help="of the models that predict")
    parser.add_argument("--peer", default="", help="a checkout of monologg/JointBERT")
    parser.add_argument("--peer-python", default=sys.executable, help="its interpreter")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    parser.add_argument("--worker", default="", choices=("", *FRAMEWORKS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given)
        return 0
    for path in (Path(given.data) / "atis", Path(given.data) / "snips", Path(given.checkpoint)):
        if not path.is_dir():
            print(f"jointbert_speed: {path}: no such directory", file=sys.stderr)
            return 2
    result = measure(given, sys.argv[1:])
    for name, value in result.items():
        print(f"{name}: {value}")
    if given.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
