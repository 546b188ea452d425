"""Which clean runs there are: a seeded sample of small ones, a dozen at real sizes; their files."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from jointbert.embedded import write_task
from jointbert.labels import read_labels, read_lines
from modelparity import InputError, Setting

TASKS = ("embedded", "atis", "snips")
PATHS = ("fast", "slow")  # of the matrix library beneath Paddle, on AMD processors
# Each axis with its values: settings of the case, and three that are none.
AXES: Mapping[str, tuple[Setting, ...]] = {
    "task": TASKS,
    "rows": (0, 1, 2, 3),  # which sentences of a task's are drawn
    "path": PATHS,
    "crf": (False, True),
    "attention": ("eager", "sdpa"),
    "threads": (1, 2),
    "layers": (1, 2, 3, 4),
    "hidden": (16, 32, 64, 96, 128),
    "heads": (1, 2, 4, 8),
    "intermediate": (32, 128, 256),
    "batch_size": (1, 4, 12, 24),
    "eval_batch_size": (4, 16, 64),
    "max_seq_len": (12, 24, 50),
    "bucket": (True, False),
    "learning_rate": (0.0, 1e-3, 2e-3),  # 0.0 is the case's own
    "schedule": ("linear", "constant"),
    "warmup_steps": (0, 10),
    "weight_decay": (0.0, 0.01),
    "dropout": (0.0, 0.1, 0.3),
    "max_grad_norm": (0.1, 1.0),
    "slot_loss_coef": (0.5, 1.0),
    "ignore_index": (0, -100),
}
FIRST_SEED = 4000  # every run has its own
SPLITS = {"train": 96, "dev": 32, "test": 32}
BERT_BASE = {"layers": 12, "hidden": 768, "heads": 12, "intermediate": 3072}
MINILM = "minilm-l6-h384-uncased"
Write = Callable[[Path, Path], None]  # from what, to where
COLUMNS = ("seq.in", "seq.out", "label")


@dataclass(frozen=True)
class Run:
    """One clean run: its name, its place on the axes, and further settings."""

    name: str
    axes: Mapping[str, Setting]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    checkpoint: str = ""  # "minilm", "bert-base" or none
    sentences: int = 0  # of the training split; 0: all

    @property
    def changes(self) -> dict[str, Setting]:
        """The settings that are not the case's own, without those that name files."""
        kept = {
            key: value for key, value in self.axes.items() if key not in ("task", "rows", "path")
        }
        return {**kept, **self.settings}


def sample(count: int, seed: int, tasks: Sequence[str] = TASKS) -> list[Run]:
    """The first `count` runs; every value of every axis comes as often as any other, within one.

    Each axis runs through its values in an order of its own, drawn anew whenever all have come.
    """
    axes = {**AXES, "task": tuple(tasks)}
    columns = {}
    for number, (name, values) in enumerate(axes.items()):
        rng, drawn = np.random.default_rng([seed, number]), []
        while len(drawn) < count:
            drawn += [values[place] for place in rng.permutation(len(values))]
        columns[name] = drawn
    runs = []
    for place in range(count):
        chosen = {name: values[place] for name, values in columns.items()}
        if chosen["crf"]:  # it scores every position, so that the case refuses anything else
            chosen["ignore_index"] = 0
        more = {"seed": FIRST_SEED + place, "epochs": 2, "trained_updates": 60}
        # The embedded task is small and holds what is hard: it comes whole.
        sentences = 0 if chosen["task"] == "embedded" else SPLITS["train"]
        runs.append(Run(f"run-{place:04d}", chosen, more, sentences=sentences))
    return runs


def real() -> list[Run]:
    """A dozen whole ladders at real models' sizes; all of two tasks' data is docs/evidence.md's."""
    small = {"learning_rate": 2e-4, "batch_size": 4, "eval_batch_size": 16}
    # 1,600 sentences are 50 updates, as far as step 10 judges float64 point by point.
    wanted: list[tuple[str, str, int, dict[str, Setting]]] = [
        ("atis", "bert-base", 160, {**small}),
        ("snips", "bert-base", 160, {**small, "crf": True, "attention": "sdpa"}),
        ("embedded", "bert-base", 160, {**small, "path": "slow"}),
        ("embedded", "minilm", 0, {"threads": 1}),
        ("embedded", "minilm", 0, {"crf": True, "batch_size": 8, "max_seq_len": 32}),
        ("atis", "minilm", 640, {"bucket": False, "batch_size": 16, "ignore_index": -100}),
        ("snips", "minilm", 640, {"weight_decay": 0.01, "warmup_steps": 20, "batch_size": 16}),
        ("snips", "minilm", 640, {"crf": True, "attention": "sdpa", "path": "slow"}),
        ("atis", "minilm", 1600, {}),
        ("atis", "minilm", 1600, {"crf": True, "attention": "sdpa", "path": "slow"}),
        ("snips", "minilm", 1600, {"attention": "sdpa"}),
        ("snips", "minilm", 1600, {"crf": True, "path": "slow"}),
    ]
    runs = []
    for place, (task, checkpoint, sentences, changes) in enumerate(wanted):
        axes = {"task": task, "rows": 0, "path": "fast", **changes}
        more: dict[str, Setting] = {"seed": FIRST_SEED + place, "epochs": 2}
        runs.append(Run(f"real-{place:02d}", axes, more, checkpoint, sentences))
    return runs


def inputs(run: Run, shared: Path, out: Path) -> dict[str, str]:
    """The settings that name files: what this run reads, written below `out` where it is not there.

    InputError where `shared` lacks the task or the checkpoint.
    """
    found = {}
    task = str(run.axes["task"])
    if task != "embedded" or run.sentences:
        found["data"] = str(_task(task, run, shared, out))
    like = shared / "checkpoints" / MINILM
    if run.checkpoint and not like.is_dir():
        raise InputError(f"{like}: no such directory; name its parent's by --shared")
    if run.checkpoint == "minilm":
        found["checkpoint"] = str(like)
    elif run.checkpoint:
        found["checkpoint"] = str(_once(out / "inputs" / run.checkpoint, like, write_checkpoint))
    return found


def _task(task: str, run: Run, shared: Path, out: Path) -> Path:
    whole = shared / "data" / task
    if task == "embedded":
        whole = out / "inputs" / "embedded"
        write_task(whole)
    if not whole.is_dir():
        raise InputError(f"{whole}: no such directory; name its parent's by --shared")
    if not run.sentences:
        return whole
    rows = int(run.axes["rows"])
    counts = {split: count * run.sentences // SPLITS["train"] for split, count in SPLITS.items()}
    place = out / "inputs" / f"{task}-{run.sentences}-{rows}"
    return _once(place, whole, lambda source, to: subset(source, to, counts, rows))


def _once(place: Path, source: Path, write: Write) -> Path:
    """`place`, written whole or not at all."""
    if not place.exists():
        unfinished = place.with_name(f".{place.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        write(source, unfinished)
        unfinished.rename(place)
    return place


def subset(source: Path, to: Path, counts: Mapping[str, int], seed: int) -> None:
    """Some sentences of each split, in the order of the files, with the labels of all."""
    for number, (split, count) in enumerate(counts.items()):
        columns = [read_lines(source / split / name) for name in COLUMNS]
        every = len(columns[0])
        rng = np.random.default_rng([seed, number])
        rows = sorted(rng.permutation(every)[: min(count, every)].tolist())
        for name, lines in zip(COLUMNS, columns, strict=True):
            _write(to / split / name, [lines[row] for row in rows])
    labels = read_labels(source)
    _write(to / "intent_label.txt", labels.intents)
    _write(to / "slot_label.txt", labels.slots)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))


def write_checkpoint(like: Path, to: Path) -> None:
    """Drawn weights of BERT-base's shape (arXiv 1810.04805) for another checkpoint's vocabulary."""
    to.mkdir(parents=True)
    config = json.loads((like / "config.json").read_text(encoding="utf-8"))
    size, inner = BERT_BASE["hidden"], BERT_BASE["intermediate"]
    config |= {
        "hidden_size": size,
        "intermediate_size": inner,
        "num_attention_heads": BERT_BASE["heads"],
        "num_hidden_layers": BERT_BASE["layers"],
    }
    (to / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(like / name, to)
    rng = np.random.default_rng(0)
    arrays = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        drawn = rng.normal(0.0, config["initializer_range"], (outputs, inputs))
        arrays[f"{name}.weight"] = drawn.astype(np.float32)
        arrays[f"{name}.bias"] = np.zeros(outputs, np.float32)

    def norm(name: str) -> None:
        arrays[f"{name}.weight"] = np.ones(size, np.float32)
        arrays[f"{name}.bias"] = np.zeros(size, np.float32)

    for table, rows in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
        ("token_type", config["type_vocab_size"]),
    ):
        linear(f"embeddings.{table}_embeddings", size, rows)
        del arrays[f"embeddings.{table}_embeddings.bias"]
    norm("embeddings.LayerNorm")
    for layer in range(BERT_BASE["layers"]):
        start = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{start}.attention.{part}", size, size)
        norm(f"{start}.attention.output.LayerNorm")
        linear(f"{start}.intermediate.dense", size, inner)
        linear(f"{start}.output.dense", inner, size)
        norm(f"{start}.output.LayerNorm")
    linear("pooler.dense", size, size)
    save_file(arrays, to / "model.safetensors")
