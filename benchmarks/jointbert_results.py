"""Train and score both tasks in both frameworks over seeds, and write docs/results.md from it.

    python benchmarks/jointbert_results.py --data DIR --checkpoint DIR
                                           [--seeds 3] [--crf-seeds 1] [--jobs 2]

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
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rows import append_row, read_rows

FRAMEWORKS = ("torch", "paddle")
PACKAGES = ("torch", "paddlepaddle", "transformers")
SCORES = {
    "intent_acc": "intent accuracy",
    "slot_f1": "slot F1",
    "semantic_frame_acc": "sentence accuracy",
}


@dataclass(frozen=True)
class Recipe:
    """How a task is trained: options of `jointbert train`, in batches of 32, linear schedule.

    `limits` are the means that must be reached on test, in percent, in the order of SCORES.
    """

    task: str
    options: Mapping[str, Any]
    limits: tuple[float, ...] = ()

    @property
    def crf(self) -> bool:
        return bool(self.options.get("crf"))

    @property
    def title(self) -> str:
        return f"{self.task.upper()}, {'CRF' if self.crf else 'softmax'}"

    def words(self) -> list[str]:
        """The options as they are typed."""
        pairs = [(f"--{name}", value) for name, value in self.options.items()]
        return [word for k, v in pairs for word in ((k,) if v is True else (k, str(v)))]


ATIS = {"epochs": 15, "learning_rate": 3e-4, "warmup_steps": 140}
SNIPS = {"epochs": 6, "learning_rate": 2e-4, "warmup_steps": 200}
RECIPES = {
    "atis": Recipe("atis", ATIS, (97.0, 94.7, 85.5)),
    "snips": Recipe("snips", SNIPS, (97.9, 94.3, 87.5)),
    "atis-crf": Recipe("atis", ATIS | {"crf": True}),
    "snips-crf": Recipe("snips", SNIPS | {"crf": True}),
}

Run = dict[str, Any]
Key = tuple[str, str, int]  # recipe, framework, seed


def run(given: argparse.Namespace, name: str, framework: str, seed: int) -> Run:
    """Train, and score what was trained."""
    recipe, out = RECIPES[name], given.out / f"{name}-{framework}-{seed}"
    threads = ("--framework", framework, "--threads", str(given.threads))
    data = str(given.data / recipe.task)
    places = ["--data", data, "--checkpoint", str(given.checkpoint), "--out", str(out)]
    call("train", *places, *recipe.words(), "--seed", str(seed), *threads, "--resume")
    more = ["--json", str(out / "report.json"), "--html", str(out / "report.html")]
    call("evaluate", str(out), "--data", data, *more, *threads)
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {
        "name": name,
        "framework": framework,
        "seed": seed,
        "recipe": recipe.options,
        "epoch": record["best"] + 1,
        **{score: report["scores"][score] for score in SCORES},
        "dev": record["evaluations"][record["best"]],
        "threads": given.threads,
        "date": date.today().isoformat(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def found_beside(page: Path) -> Path:
    """Where the trainings are listed that a page rests on."""
    return page.with_suffix(".jsonl")


def finished(page: Path) -> dict[Key, Run]:
    """What has been trained by the recipes as they are."""
    runs = read_rows(found_beside(page))
    kept = [one for one in runs if one["recipe"] == RECIPES[one["name"]].options]
    return {(one["name"], one["framework"], one["seed"]): one for one in kept}


def call(*arguments: str) -> None:
    """Run a command of jointbert; leave with its message where it fails."""
    print("jointbert", *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "jointbert.cli", *arguments], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


def page(runs: Sequence[Run], seeds: Mapping[str, int]) -> str:
    """The whole page. `seeds` says of each recipe over how many it is to be trained."""
    lines = ["# Results", ""]
    lines += [
        "Written by `benchmarks/jointbert_results.py`; no figure on it is typed. Each row is a",
        "training from the six-layer checkpoint. Its epoch is the best one on dev, by sentence",
        "accuracy; its scores are those of the test split, in percent.",
        *made(runs),
    ]
    for name, recipe in RECIPES.items():
        if not seeds[name]:
            continue
        words = " ".join(recipe.words())
        places = f"--data {recipe.task} --checkpoint CHECKPOINT --out OUT"
        lines += ["", f"## {recipe.title}", "", f"Recipe: `jointbert train {places} {words}`"]
        for framework in FRAMEWORKS:
            found = [r for r in runs if (r["name"], r["framework"]) == (name, framework)]
            lines += ["", *table(recipe, framework, found, seeds[name])]
    lines += ["", *ceiling()]
    return "\n".join(lines) + "\n"


def made(runs: Sequence[Run]) -> list[str]:
    """When the trainings were made, and with which versions."""
    if not runs:
        return []
    days = sorted({one["date"] for one in runs})
    versions = sorted({f"{n} {v}" for one in runs for n, v in one["versions"].items()})
    return ["", f"Trained from {days[0]} to {days[-1]} with {', '.join(versions)}."]


def table(recipe: Recipe, framework: str, found: Sequence[Run], seeds: int) -> list[str]:
    """A framework's rows: a seed each, mean, standard deviation, and what must be reached."""
    lines = [f"| {framework} | epoch | {' | '.join(SCORES.values())} |", "|---|---|---|---|---|"]
    for one in sorted(found, key=lambda r: int(r["seed"])):
        values = " | ".join(f"{100 * one[name]:.2f}" for name in SCORES)
        lines.append(f"| seed {one['seed']} | {one['epoch']} | {values} |")
    if len(found) < seeds:
        lines.append(f"| not run yet: {seeds - len(found)} of {seeds} | | | | |")
    if len(found) > 1:
        columns = [[100 * one[name] for one in found] for name in SCORES]
        means = " | ".join(f"**{statistics.mean(c):.2f}**" for c in columns)
        spreads = " | ".join(f"{statistics.stdev(c):.2f}" for c in columns)
        lines += [f"| mean | | {means} |", f"| standard deviation | | {spreads} |"]
    if recipe.limits:
        limits = " | ".join(f"{limit:.1f}" for limit in recipe.limits)
        lines.append(f"| to be reached | | {limits} |")
    return lines


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
    parser.add_argument("--seeds", type=int, default=3, help="of each recipe without a CRF")
    parser.add_argument("--crf-seeds", type=int, default=1, help="of each recipe with one")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--threads", type=int, default=0, help="of each; 0: all cores")
    parser.add_argument("--out", type=Path, default=root / "out" / "results")
    parser.add_argument("--page", type=Path, default=root / "docs" / "results.md")
    parser.add_argument("--only", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    given = parser.parse_args()
    seeds = {n: given.crf_seeds if r.crf else given.seeds for n, r in RECIPES.items()}
    done, most = finished(given.page), max(seeds.values())
    asked = [(n, f, s) for s in range(1, most + 1) for n in given.only for f in given.frameworks]
    wanted = [key for key in asked if key[2] <= seeds[key[0]] and key not in done]
    write(given.page, seeds)
    with ThreadPoolExecutor(given.jobs) as pool:
        started = [pool.submit(run, given, *key) for key in wanted]
        try:
            for one in as_completed(started):
                append_row(found_beside(given.page), one.result())
                write(given.page, seeds)
        except SystemExit:
            pool.shutdown(cancel_futures=True)
            raise
    return 0


def write(path: Path, seeds: Mapping[str, int]) -> None:
    """The page, from what is found."""
    kept = [one for one in finished(path).values() if one["seed"] <= seeds[one["name"]]]
    path.write_text(page(kept, seeds), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
