"""What each command does once its arguments are read."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jointbert import saved, workers
from jointbert.checkpoint import written_whole
from jointbert.options import Options
from jointbert.progress import SHOWN, Display
from modelparity import UsageError


def train(given: argparse.Namespace, places: dict[str, str], options: Options) -> int:
    """Train and save; in several processes, of which this is one or which it starts."""
    from jointbert.scalars import Scalars
    from jointbert.training import Job, train

    workers.end_with_parent()
    rank, size = workers.place(places["framework"])
    if size == 1 and options.processes > 1:
        return workers.run(given.words, options.processes)
    if options.processes == 1:
        options = replace(options, processes=size)  # as many as torchrun has started
    job = Job(
        places["data"], places["checkpoint"], Path(places["out"]), places["framework"], options
    )
    listeners: list[Any] = [Display(given.quiet)]
    if given.tensorboard is not None and rank == 0:
        listeners.append(Scalars(given.tensorboard))

    def on_update(done: int, total: int, loss: float) -> None:
        for one in listeners:
            one.on_update(done, total, loss)

    def on_epoch(epoch: int, scores: Any, better: bool) -> None:
        for one in listeners:
            one.on_epoch(epoch, scores, better)

    result = train(job, resume=given.resume, on_update=on_update, on_epoch=on_epoch)
    for one in listeners[1:]:
        one.close()
    if rank:
        return 0
    best = result.evaluations[result.best]
    scores = ", ".join(f"{name} {best[name]:.4f}" for name in SHOWN)
    print(f"saved {job.out}: epoch {result.best + 1} of {len(result.evaluations)}, dev {scores}")
    return 0


def evaluate(given: argparse.Namespace) -> int:
    """Score a saved model on a split and report its errors."""
    from jointbert import error_report, report_page
    from jointbert.task import task_directory

    if given.eval_batch_size < 1:
        raise UsageError(f"--eval_batch_size {given.eval_batch_size}: it must be above 0")
    if given.worst < 0:
        raise UsageError(f"--worst {given.worst}: it must be 0 or above")
    _check_threads(given)
    with TemporaryDirectory() as scratch:
        data = task_directory(given.data, Path(scratch), given.split)
        report = error_report.evaluate(
            given.model,
            data,
            given.split,
            framework=given.framework,
            precision=given.precision,
            threads=given.threads,
            eval_batch_size=given.eval_batch_size,
            worst=given.worst,
        )
    print(report_page.terminal(report))
    if given.json is not None:
        _write(given.json, json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    if given.html is not None:
        _write(given.html, report_page.html(report))
    return 0


def predict(given: argparse.Namespace) -> int:
    """Answer the lines of standard input."""
    from jointbert.parser import Parser
    from jointbert.stream import answer

    if given.top_k < 1:
        raise UsageError(f"--top_k {given.top_k}: it must be above 0")
    _check_threads(given)
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        if stream is None:
            raise UsageError(f"standard {name} is closed; connect it")
    parser = Parser.from_pretrained(
        given.model, given.framework, precision=given.precision, threads=given.threads
    )
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False)  # noqa: SIM115
    # Not sys.stdin: a thread waits in it, and Python aborts at its end where that one is in use.
    source = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
    answer(parser, source, out, top_k=given.top_k, form=given.input)
    return 0


def check(given: argparse.Namespace) -> int:
    """Report what is wrong with a task; 1 where training on it would fail or mislead."""
    from jointbert.data_check import check, exit_code, rendered

    findings = check(given.directory)
    print(rendered(findings, as_json=given.json))
    return exit_code(findings)


def get(given: argparse.Namespace) -> int:
    """Download a public task."""
    from jointbert.data_get import SOURCE, get

    count = get(given.task, given.directory, given.base_url or SOURCE, print)
    print(f"{given.directory}: {given.task} is complete, {count} files as published")
    return 0


def convert(given: argparse.Namespace) -> int:
    """JSON Lines to the other layout."""
    from jointbert.jsonl import as_task

    if given.target.exists() and any(given.target.iterdir()):
        raise UsageError(f"{given.target}: not empty; name a new directory")
    as_task(given.source, given.target)
    print(f"{given.target}: written")
    return 0


def take_over(given: argparse.Namespace) -> int:
    """Save another implementation's model as one of ours."""
    from jointbert.import_peer import import_peer

    labels = given.labels or given.source
    import_peer(given.source, given.out, labels, given.tokenizer, given.max_seq_len)
    found = saved.read(given.out)
    print(
        f"saved {given.out}: {len(found.labels.intents)} intents, {len(found.labels.slots)} slot"
        f" labels, {'a' if found.crf else 'no'} CRF"
    )
    return 0


def _check_threads(given: argparse.Namespace) -> None:
    if given.threads < 0:
        raise UsageError(f"--threads {given.threads}: give 0 for all cores, or their number")


def _write(path: Path, text: str) -> None:
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
