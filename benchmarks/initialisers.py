"""Judge initialisers: right ones, which must not be accused, and wrong ones, which must be caught.

    python benchmarks/initialisers.py [--runs 200] [--wrong 20] [--jobs N] [--out FILE]
                                      [--markdown FILE]

Each run records step 9 of the embedded model on both sides, in its own seed, and judges it; the
ports of one seed are judged by one recording of the reference. Every finished run is a line of
--out: the command goes on where it was stopped. Exit code 1 if more than one right run in 200 is
accused, or a wrong one is missed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rows import append_row, read_rows

from modelparity import Fault, Outcome, check
from modelparity.cases import load_case
from modelparity.record import record

CASE, SPREAD = "jointbert", 0.02
CUT = 0.87962566103423978  # standard deviation of a normal law cut at two of its own
STEP = 9
ONE = "bert.encoder.layer.1.attention.self.value.weight"
ROOT = Path(__file__).resolve().parents[1]


def weights(model: Any) -> Iterator[tuple[str, Any]]:
    """The matrices that the embedded model draws from N(0, 0.02)."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "classifier" not in name:
            yield name, parameter


def scaled(factor: float, only: str = "") -> Callable[[Any], None]:
    def change(model: Any) -> None:
        import paddle

        with paddle.no_grad():
            for name, parameter in weights(model):
                if not only or name == only:
                    parameter.scale_(factor)

    return change


def redrawn(law: str, only: str = "") -> Callable[[Any], None]:
    """Another law of equal spread. The padding's row stays zero."""

    def change(model: Any) -> None:
        import paddle
        from paddle.nn.initializer import TruncatedNormal, Uniform

        wide = SPREAD / CUT
        half = SPREAD * 3.0**0.5
        draw = TruncatedNormal(0.0, wide, -2 * wide, 2 * wide) if law == "cut" else None
        with paddle.no_grad():
            for name, parameter in weights(model):
                if not only or name == only:
                    (draw or Uniform(-half, half))(parameter)
                    if "word_embeddings" in name:
                        parameter[0] = 0.0

    return change


def biased(model: Any) -> None:
    import paddle

    with paddle.no_grad():
        model.bert.pooler.dense.bias.fill_(1e-3)


WRONG: Mapping[str, Callable[[Any], None]] = {
    "N(0, 0.0207) for N(0, 0.02)": scaled(1.035),
    "N(0, 0.0207) for N(0, 0.02) in one layer": scaled(1.035, ONE),
    "normal law cut at two deviations, of equal spread": redrawn("cut"),
    "the same in one layer": redrawn("cut", ONE),
    "uniform law of equal spread": redrawn("uniform"),
    "uniform law of equal spread in one layer": redrawn("uniform", ONE),
    "one bias of 0.001 for 0": biased,
}


def fault(change: Callable[[Any], None]) -> Fault:
    def override(functions: Mapping[str, Callable[..., Any]]) -> Mapping[str, Callable[..., Any]]:
        def build_model(settings: Mapping[str, Any]) -> Any:
            model = functions["build_model"](settings)
            change(model)
            return model

        return {"build_model": build_model}

    return Fault("wrong", STEP, "drawn", "a wrong initialiser", override)


def judged(seed: int, ports: Sequence[str]) -> list[dict[str, Any]]:
    """The outcome of step 9 for one seed and each port; "" draws as the reference does."""
    # Far apart: the step draws from the seeds that follow.
    case, changes = load_case(CASE), {"seed": str(1000 * (seed + 1))}
    found = []
    with tempfile.TemporaryDirectory() as place:
        reference = Path(place, "reference")
        asked: dict[str, Any] = {"steps": (STEP,), "changes": changes}
        record(case, "reference", case.reference, reference, given=None, **asked)
        for number, wrong in enumerate(ports):
            candidate = Path(place, str(number))
            planted = fault(WRONG[wrong]) if wrong else None
            record(
                case,
                "candidate",
                case.candidate,
                candidate,
                given=reference,
                fault=planted,
                **asked,
            )
            verdict = check(reference, candidate, steps=(STEP,)).verdicts[0]
            told = {"outcome": verdict.outcome.value, "reason": verdict.reason}
            found.append({"seed": seed, "wrong": wrong, **told, "notes": verdict.notes})
    return found


def page(found: list[dict[str, Any]]) -> str:
    """The table, and what the last run says of its own power."""
    lines = ["| the port draws | runs | diverged |", "|---|---|---|"]
    for wrong in ("", *WRONG):
        runs = [f for f in found if f["wrong"] == wrong]
        diverged = sum(f["outcome"] == Outcome.DIVERGED.value for f in runs)
        lines.append(f"| {wrong or 'as the reference does'} | {len(runs)} | {diverged} |")
    power = [note for f in found[-1:] for note in f["notes"]]
    return "\n".join(
        ["# Initialisers", "", (__doc__ or "").splitlines()[0], "", *lines, "", *power, ""]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="with the right initialiser")
    parser.add_argument("--wrong", type=int, default=20, help="with each wrong one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="seeds at once")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "initialisers.jsonl")
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    found = read_rows(given.out)
    done = {(f["seed"], f["wrong"]) for f in found}
    ports = {"": given.runs, **dict.fromkeys(WRONG, given.wrong)}
    wanted = {
        seed: [port for port, runs in ports.items() if seed < runs and (seed, port) not in done]
        for seed in range(max(ports.values()))
    }
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        started = [pool.submit(judged, seed, asked) for seed, asked in wanted.items() if asked]
        for one in as_completed(started):
            for row in one.result():
                found.append(row)
                append_row(given.out, row)
                name = row["wrong"] or "right"
                print(f"seed {row['seed']}, {name}: {row['outcome']}", file=sys.stderr)
    print(page(found))
    if given.markdown:
        given.markdown.write_text(page(found), encoding="utf-8")
    outcomes = [(f["wrong"], f["outcome"] == Outcome.DIVERGED.value) for f in found]
    accused = sum(diverged for wrong, diverged in outcomes if not wrong)
    missed = sum(not diverged for wrong, diverged in outcomes if wrong)
    return int(accused > max(1, given.runs // 200) or missed > 0)


if __name__ == "__main__":
    sys.exit(main())
