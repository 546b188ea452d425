"""Judge initialisers: right ones, which must not be accused, and wrong ones, which must be caught.

    python benchmarks/initialisers.py [--runs 200] [--wrong 20] [--out FILE] [--markdown FILE]

Each run records step 9 of the embedded model on both sides, in its own seed, and judges it. Every
finished run is a line of --out: the command goes on where it was stopped. Exit code 1 if more than
one right run in 200 is accused, or a wrong one is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
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


def judged(seed: int, wrong: str) -> dict[str, Any]:
    """The outcome of step 9 for one seed, the port's initialiser right or wrong."""
    case, changes = load_case(CASE), {"seed": str(seed)}
    with tempfile.TemporaryDirectory() as place:
        sides = {"reference": Path(place, "reference"), "candidate": Path(place, "candidate")}
        for role, out in sides.items():
            record(
                case,
                role,
                getattr(case, role),
                out,
                given=sides["reference"] if role == "candidate" else None,
                steps=(STEP,),
                changes=changes,
                fault=fault(WRONG[wrong]) if wrong and role == "candidate" else None,
            )
        verdict = check(sides["reference"], sides["candidate"], steps=(STEP,)).verdicts[0]
    return {
        "seed": seed,
        "wrong": wrong,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "notes": verdict.notes,
    }


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
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "initialisers.jsonl")
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    found = read_rows(given.out)
    done = {(f["seed"], f["wrong"]) for f in found}
    wanted = [(seed, "") for seed in range(given.runs)]
    wanted += [(seed, wrong) for wrong in WRONG for seed in range(given.wrong)]
    for number, (seed, wrong) in enumerate(wanted, 1):
        if (seed, wrong) in done:
            continue
        # Far apart: the step draws from the seeds that follow.
        found.append(judged(1000 * (seed + 1), wrong) | {"seed": seed})
        append_row(given.out, found[-1])
        print(f"{number}/{len(wanted)} {wrong or 'right'}: {found[-1]['outcome']}", file=sys.stderr)
    print(page(found))
    if given.markdown:
        given.markdown.write_text(page(found), encoding="utf-8")
    outcomes = [(f["wrong"], f["outcome"] == Outcome.DIVERGED.value) for f in found]
    accused = sum(diverged for wrong, diverged in outcomes if not wrong)
    missed = sum(not diverged for wrong, diverged in outcomes if wrong)
    return int(accused > max(1, given.runs // 200) or missed > 0)


if __name__ == "__main__":
    sys.exit(main())
