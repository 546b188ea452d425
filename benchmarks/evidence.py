"""Run what docs/evidence.md rests on, and write that page and its HTML: `make evidence`.

    python benchmarks/evidence.py [--data DIR --checkpoint DIR] [--out DIR] [--seeds 20]
                                  [--results-seeds 3] [--only NAME ...] [--page-only]

Without --data and --checkpoint only the embedded task is run. What the page shows of a finished run
stays beside it, with the command and a digest of the code: a run by the same ones is not made
again, so the command goes on where it was stopped, and inside a run the seeds that are trained are
not trained again. The page is written anew after each run, from all that is there. Exit code 1 if a
finished ladder diverged, 3 if one is not finished or not aligned.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from clean_runs import source
from evidence_page import Run, as_html, as_markdown, content, excerpt

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("atis", "snips")
RESULTS = "results.md"  # beside the page: scores by the recipes
TITLES = {"embedded": "Embedded task", "atis": "ATIS", "snips": "SNIPS"}


@dataclass(frozen=True)
class Planned:
    """One ladder: its name, its title, and what `--set` changes; paths as the page shows them."""

    name: str
    title: str
    changes: Mapping[str, str]

    @property
    def real(self) -> bool:
        """Whether it needs data and a checkpoint."""
        return "data" in self.changes

    def shown(self) -> str:
        """The command beside each figure."""
        return " ".join(["modelparity run jointbert", *self._set(self.changes)])

    def command(self, places: Mapping[str, Path], out: Path) -> list[str]:
        """The command that is run: the same, with the places of this machine."""
        changes = {k: str(places.get(v, v)) for k, v in self.changes.items()}
        words = [word for one in self._set(changes) for word in one.split(" ", 1)]
        start = [sys.executable, "-m", "modelparity.cli", "run", "jointbert"]
        return [*start, *words, "--out", str(out)]

    @staticmethod
    def _set(changes: Mapping[str, str]) -> list[str]:
        return [f"--set {key}={value}" for key, value in changes.items()]


def planned(seeds: int) -> list[Planned]:
    """Every ladder, softmax and CRF; independent trainings on the embedded task."""
    whole = {"lockstep_epochs": "0"}  # of the embedded task, float32 runs to the end
    over_seeds = {**whole, "seeds": str(seeds)} if seeds else whole
    real = {task: {"data": f"DATA/{task}", "checkpoint": "CHECKPOINT"} for task in TASKS}
    found = []
    for task, changes in {"embedded": over_seeds, **real}.items():
        found.append(Planned(task, f"{TITLES[task]}, softmax", changes))
        crf = {**changes, "crf": "true"}
        found.append(Planned(f"{task}-crf", f"{TITLES[task]}, CRF", crf))
    return found


def run(plan: Planned, places: Mapping[str, Path], given: argparse.Namespace) -> None:
    """Run a ladder unless it is finished: by this command, and by the code as it is.

    Its report goes below the page's directory, to be linked to, and what the page shows of it.
    """
    kept, made = reports(given.page) / plan.name, {"command": plan.shown(), "source": source()}
    data = kept.with_suffix(".json")
    if data.exists() and made.items() <= json.loads(data.read_text(encoding="utf-8")).items():
        return
    print(plan.shown(), file=sys.stderr, flush=True)
    command = plan.command(places, given.out / plan.name)
    status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    if status not in (0, 1, 3):
        sys.exit(status)
    keep(plan, given, made)


def keep(plan: Planned, given: argparse.Namespace, made: Mapping[str, str]) -> None:
    """Put the report of a ladder in --out beside the page."""
    kept = reports(given.page) / plan.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    text = (given.out / plan.name / "report.json").read_text(encoding="utf-8")
    shown = {**made, "date": date.today().isoformat(), "report": excerpt(json.loads(text))}
    shutil.copy(given.out / plan.name / "report.html", kept.with_suffix(".html"))
    kept.with_suffix(".json").write_text(json.dumps(shown) + "\n", encoding="utf-8")


def reports(page: Path) -> Path:
    """Where the reports lie that a page links to."""
    return page.with_suffix("")


def results(given: argparse.Namespace) -> None:
    """The scores of both frameworks over seeds, by the recipes; resumable by itself."""
    command = [sys.executable, str(ROOT / "benchmarks" / "jointbert_results.py")]
    command += ["--data", str(given.data), "--checkpoint", str(given.checkpoint)]
    command += ["--seeds", str(given.results_seeds), "--out", str(given.out / "results")]
    command += ["--page", str(given.page.with_name(RESULTS))]
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


def finished(plan: Planned, page: Path) -> Run | None:
    """A ladder's report, where it has one."""
    path = (reports(page) / plan.name).with_suffix(".json")
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Run(plan.name, plan.title, kept["command"], kept["date"], kept["report"])


def write(plans: Sequence[Planned], page: Path) -> list[Run]:
    """Both forms of the page, from what there is."""
    runs = [one for plan in plans if (one := finished(plan, page)) is not None]
    waiting = [plan.title for plan in plans if plan.name not in {one.name for one in runs}]
    scored = page.with_name(RESULTS)
    table = scored.read_text(encoding="utf-8") if scored.exists() else ""
    blocks = content(runs, waiting, table, reports(page).name)
    page.write_text(as_markdown(blocks, page.with_suffix(".html").name), "utf-8")
    page.with_suffix(".html").write_text(as_html(blocks), "utf-8")
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="directory of atis and snips")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "evidence")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "evidence.md")
    parser.add_argument("--seeds", type=int, default=20, help="on the embedded task")
    parser.add_argument("--results-seeds", type=int, default=3, help="by the recipes; 0: none")
    parser.add_argument("--only", nargs="+", default=(), help="names of ladders")
    parser.add_argument("--page-only", action="store_true", help="from the reports that are there")
    given = parser.parse_args()
    if (given.data is None) != (given.checkpoint is None):
        parser.error("--data and --checkpoint go together")
    shown = planned(given.seeds)
    plans = [plan for plan in shown if given.data or not plan.real]
    if unknown := set(given.only) - {plan.name for plan in plans}:
        parser.error(f"--only {' '.join(sorted(unknown))}: no such ladder")
    places = {f"DATA/{task}": given.data / task for task in TASKS} if given.data else {}
    places |= {"CHECKPOINT": given.checkpoint} if given.checkpoint else {}
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.page_only:
        for plan in plans:
            if not given.only or plan.name in given.only:
                run(plan, places, given)
                write(shown, given.page)
        if given.data and given.results_seeds and not given.only:
            results(given)
    outcomes = {one.name: one.report["outcome"] for one in write(shown, given.page)}
    told = [outcomes.get(plan.name) for plan in plans]
    return 1 if "diverged" in told else 0 if set(told) == {"aligned"} else 3


if __name__ == "__main__":
    sys.exit(main())
