"""Train and score both tasks in both frameworks over seeds, and write docs/results.md from it.

    python benchmarks/jointbert_results.py --data DIR --checkpoint DIR [--seeds 3] [--out DIR]

Every training is `jointbert train --resume`, every score `jointbert evaluate`, each in a process of
its own. What is finished is kept in --out: the command goes on where it was stopped, and writes the
page from whatever is there. The test split is scored once, with the epoch that was best on dev.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

FRAMEWORKS = ("torch", "paddle")
PACKAGES = ("torch", "paddlepaddle", "transformers")
# One recipe a task: what reaches the figures in the page. Batches of 32, linear schedule.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "atis": {"epochs": 15, "learning_rate": 3e-4, "warmup_steps": 140},
    "snips": {"epochs": 6, "learning_rate": 2e-4, "warmup_steps": 200},
}
SCORES = {
    "intent_acc": "intent accuracy",
    "slot_f1": "slot F1",
    "semantic_frame_acc": "sentence accuracy",
}
# What must be reached on average, in percent.
LIMITS = {"atis": (97.0, 94.7, 85.5), "snips": (97.9, 94.3, 87.5)}

Run = dict[str, Any]


def run(given: argparse.Namespace, task: str, framework: str, seed: int) -> Run:
    """The scores of one training, from its directory where it has been made before."""
    out = given.out / f"{task}-{framework}-{seed}"
    result = out / "result.json"
    if not result.exists():
        options = {**RECIPES[task], "seed": seed, "threads": given.threads}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        data = str(given.data / task)
        places = ["--data", data, "--checkpoint", str(given.checkpoint), "--out", str(out)]
        call("train", *places, *words, "--framework", framework, "--resume")
        more = ["--json", str(out / "report.json"), "--html", str(out / "report.html")]
        more += ["--framework", framework, "--threads", str(given.threads)]
        call("evaluate", str(out), "--data", data, *more)
        record = json.loads((out / "training.json").read_text(encoding="utf-8"))
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        found = {"task": task, "framework": framework, "seed": seed, "epoch": record["best"] + 1}
        found |= {name: report["scores"][name] for name in SCORES}
        found["options"] = record["options"]
        whole = result.with_suffix(".unfinished")
        whole.write_text(json.dumps(found) + "\n", encoding="utf-8")
        whole.replace(result)
    return dict(json.loads(result.read_text(encoding="utf-8")))


def call(*arguments: str) -> None:
    """Run a command of jointbert; leave with its message where it fails."""
    print("jointbert", *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "jointbert.cli", *arguments], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


def page(runs: Sequence[Run], seeds: int) -> str:
    """The whole page."""
    lines = ["# Results", ""]
    lines += [
        "Written by `benchmarks/jointbert_results.py`; no figure on it is typed. Each row is a",
        "training from the six-layer checkpoint. Its epoch is the best one on dev, by sentence",
        "accuracy; its scores are those of the test split, in percent.",
        "",
        f"Written on {date.today()} with {', '.join(f'{n} {version(n)}' for n in PACKAGES)}.",
    ]
    for task in RECIPES:
        lines += ["", f"## {task.upper()}", "", recipe(task)]
        for framework in FRAMEWORKS:
            found = [r for r in runs if (r["task"], r["framework"]) == (task, framework)]
            lines += ["", *table(task, framework, found, seeds)]
    lines += ["", *ceiling()]
    return "\n".join(lines) + "\n"


def recipe(task: str) -> str:
    """The command of a recipe."""
    words = " ".join(f"--{name} {value}" for name, value in RECIPES[task].items())
    return f"Recipe: `jointbert train --data {task} --checkpoint CHECKPOINT --out OUT {words}`"


def table(task: str, framework: str, found: Sequence[Run], seeds: int) -> list[str]:
    """A framework's rows: a seed each, mean, standard deviation, and what must be reached."""
    lines = [f"| {framework} | epoch | {' | '.join(SCORES.values())} |", "|---|---|---|---|---|"]
    for one in sorted(found, key=lambda r: int(r["seed"])):
        values = " | ".join(f"{100 * one[name]:.2f}" for name in SCORES)
        lines.append(f"| seed {one['seed']} | {one['epoch']} | {values} |")
    if len(found) < seeds:
        lines.append(f"| {seeds - len(found)} of {seeds} seeds are not run yet | | | | |")
    if len(found) > 1:
        columns = [[100 * one[name] for one in found] for name in SCORES]
        means = " | ".join(f"**{statistics.mean(c):.2f}**" for c in columns)
        spreads = " | ".join(f"{statistics.stdev(c):.2f}" for c in columns)
        lines += [f"| mean | | {means} |", f"| standard deviation | | {spreads} |"]
    limits = " | ".join(f"{limit:.1f}" for limit in LIMITS[task])
    return [*lines, f"| to be reached | | {limits} |"]


def ceiling() -> list[str]:
    """Where the six-layer encoder stops, by the figures that others report."""
    return [
        "## Where a six-layer encoder stops",
        "",
        "With BERT-base others report 97.5 / 96.1 / 88.2 on ATIS and 98.6 / 97.0 / 92.8 on SNIPS",
        "(arXiv 1902.10909). The tables show how far half the layers and half the width come.",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, required=True, help="directory of atis and snips")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--out", type=Path, default=root / "out" / "results")
    parser.add_argument("--page", type=Path, default=root / "docs" / "results.md")
    parser.add_argument("--tasks", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in range(1, given.seeds + 1):
        for task in given.tasks:
            for framework in given.frameworks:
                run(given, task, framework, seed)
                found = [json.loads(p.read_text()) for p in given.out.glob("*/result.json")]
                kept = [r for r in found if r["seed"] <= given.seeds]
                given.page.write_text(page(kept, given.seeds), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
