"""Judge the ports of tests/ports as they are, under many seeds: none may be accused.

    python benchmarks/clean_ports.py [--case convnet|gpt] [--seeds 200] [--steps 7,10] [--out FILE]

Every finished seed is a line of --out: the command goes on where it was stopped. Says how many are
accused, and how many would be if float32 were not run again across the kinks of activations (ADR
16). Exit code 1 if any is accused, else 0.
"""

import argparse
import gc
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

# PyTorch comes first: this order is the one that loads both; Paddle's import warns.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch  # noqa: F401  # isort: skip
    import paddle  # noqa: F401

from rows import append_row, read_rows

from modelparity import Case, Outcome, check
from modelparity.record import record

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
CASES = {"convnet": "CONVNET", "gpt": "GPT"}
BY_CHANCE = "crossed by chance"  # said by a verdict that took another run


def tried(case: Case, seed: int, steps: tuple[int, ...]) -> dict[str, Any]:
    """Both sides recorded under a seed, and judged."""
    how = {"steps": steps, "changes": {"seed": str(seed)}}
    with tempfile.TemporaryDirectory() as directory:
        reference, candidate = (Path(directory, side) for side in ("reference", "candidate"))
        record(case, "reference", case.reference, reference, given=None, **how)
        record(case, "candidate", case.candidate, candidate, given=reference, **how)
        verdicts = check(reference, candidate, steps=steps).verdicts
    return {
        "case": case.name,
        "seed": seed,
        "steps": list(steps),
        "accused": {v.number: v.reason for v in verdicts if v.outcome is Outcome.DIVERGED},
        "chance": [v.number for v in verdicts if any(BY_CHANCE in note for note in v.notes)],
    }


def main() -> int:
    """Try the seeds that have no result yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=CASES, default="convnet")
    parser.add_argument("--seeds", type=int, default=200, help="from 1 to this one")
    parser.add_argument("--steps", default="7,10")
    parser.add_argument("--out", type=Path, default=Path("out/clean_ports.jsonl"))
    given = parser.parse_args()
    from ports import cases

    warnings.simplefilter("ignore")  # said by every BatchNorm of Paddle's in training
    case, steps = getattr(cases, CASES[given.case]), tuple(map(int, given.steps.split(",")))
    gc.collect()
    gc.freeze()  # or looking through what is imported after every model would take half of the time

    def mine() -> dict[int, dict[str, Any]]:
        found = [
            f for f in read_rows(given.out) if (f["case"], f["steps"]) == (case.name, [*steps])
        ]
        return {f["seed"]: f for f in found if f["seed"] <= given.seeds}

    for seed in sorted(set(range(1, given.seeds + 1)) - set(mine())):
        found = tried(case, seed, steps)
        append_row(given.out, found)
        what = f"accused: {found['accused']}" if found["accused"] else "not accused"
        print(f"{case.name}, seed {seed}: {what}{', by another run' * bool(found['chance'])}")
    done = mine().values()
    accused, chance = (sum(bool(f[key]) for f in done) for key in ("accused", "chance"))
    print(f"{len(done)} seeds, {accused} accused; {chance} more without another run")
    return 1 if accused else 0


if __name__ == "__main__":
    sys.exit(main())
