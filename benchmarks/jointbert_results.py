"""Train and score both tasks in both frameworks over seeds, and write docs/results.md from it.

    python benchmarks/jointbert_results.py --data DIR --checkpoint DIR [--seeds 3] [--jobs 2]

Every training is `jointbert train --resume`, every score `jointbert evaluate`, each in a process of
its own. A training that is finished is a line of a .jsonl file beside the page, with its recipe and
versions, and is not made again; one that was stopped goes on in --out. The page is written from
whatever is found. The test split is scored once, with the epoch that was best on dev.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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
Key = tuple[str, str, int]  # task, framework, seed


def run(given: argparse.Namespace, task: str, framework: str, seed: int) -> Run:
    """Train, and score what was trained."""
    out = given.out / f"{task}-{framework}-{seed}"
    threads = ("--framework", framework, "--threads", str(given.threads))
    words = [w for name, value in RECIPES[task].items() for w in (f"--{name}", str(value))]
    data = str(given.data / task)
    places = ["--data", data, "--checkpoint", str(given.checkpoint), "--out", str(out)]
    call("train", *places, *words, "--seed", str(seed), *threads, "--resume")
    more = ["--json", str(out / "report.json"), "--html", str(out / "report.html")]
    call("evaluate", str(out), "--data", data, *more, *threads)
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {
        "task": task,
        "framework": framework,
        "seed": seed,
        "recipe": RECIPES[task],
        "epoch": record["best"] + 1,
        **{name: report["scores"][name] for name in SCORES},
        "dev": record["evaluations"][record["best"]],
        "threads": given.threads,
        "date": date.today().isoformat(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def found_beside(page: Path) -> Path:
    """Where the trainings are listed that a page rests on."""
    return page.with_suffix(".jsonl")


def finished(page: Path) -> dict[Key, Run]:
    """What has been trained by the recipes as they are."""
    path = found_beside(page)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    kept = [one for one in runs if one["recipe"] == RECIPES[one["task"]]]
    return {(one["task"], one["framework"], one["seed"]): one for one in kept}


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
        *made(runs),
    ]
    for task in RECIPES:
        lines += ["", f"## {task.upper()}", "", recipe(task)]
        for framework in FRAMEWORKS:
            found = [r for r in runs if (r["task"], r["framework"]) == (task, framework)]
            lines += ["", *table(task, framework, found, seeds)]
    lines += ["", *ceiling()]
    return "\n".join(lines) + "\n"


def made(runs: Sequence[Run]) -> list[str]:
    """When the trainings were made, and with which versions."""
    if not runs:
        return []
    days = sorted({one["date"] for one in runs})
    versions = sorted({f"{n} {v}" for one in runs for n, v in one["versions"].items()})
    return ["", f"Trained from {days[0]} to {days[-1]} with {', '.join(versions)}."]


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
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--threads", type=int, default=0, help="of each; 0: all cores")
    parser.add_argument("--out", type=Path, default=root / "out" / "results")
    parser.add_argument("--page", type=Path, default=root / "docs" / "results.md")
    parser.add_argument("--tasks", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    given = parser.parse_args()
    seeds, done = range(1, given.seeds + 1), finished(given.page)
    wanted = [(t, f, s) for s in seeds for t in given.tasks for f in given.frameworks]
    write(given)
    with ThreadPoolExecutor(given.jobs) as pool:
        started = [pool.submit(run, given, *key) for key in wanted if key not in done]
        try:
            for one in as_completed(started):
                with found_beside(given.page).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(one.result()) + "\n")
                write(given)
        except SystemExit:
            pool.shutdown(cancel_futures=True)
            raise
    return 0


def write(given: argparse.Namespace) -> None:
    """The page, from what is found."""
    kept = [one for one in finished(given.page).values() if one["seed"] <= given.seeds]
    given.page.write_text(page(kept, given.seeds), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
