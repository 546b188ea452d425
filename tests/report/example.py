"""Reports of three outcomes, built in code: small for the goldens, large for the eye.

`python tests/report/example.py DIRECTORY` writes every format of the large ones.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path

from example_verdicts import (
    ALIGNED,
    DIVERGED,
    FIELDS,
    INCONCLUSIVE,
    backward,
    data,
    diff,
    forward,
    initialisation,
    metrics,
    optimizer,
    rate,
    regularisation,
    rounded,
    training,
)

from modelparity.model import Finding, Report, Verdict
from modelparity.report import write_all


def _environment(**versions: str) -> dict[str, object]:
    environment = {**versions, "blas": "oneDNN 3.5", "threads": "2"}
    return {"written_by": "modelparity 0.1", "environment": environment, "format": 1}


def passing(layers: int = 1, updates: int = 12) -> Report:
    """Ten aligned steps."""
    return Report(
        case="jointbert",
        outcome=ALIGNED,
        verdicts=(
            forward(layers),
            data(2, "evaluation data", {"dev": 3, "test": 4}),
            metrics(),
            optimizer(),
            rate(updates),
            regularisation(),
            backward(),
            data(8, "training data", {"epoch.0": 2, "epoch.1": 2}),
            initialisation(),
            training(updates),
        ),
        manifests={
            "reference": _environment(torch="2.13.0", transformers="5.23.0"),
            "candidate": _environment(paddle="3.3.1", tokenizers="0.23.1"),
        },
        settings={"crf": False, "seed": 1234, "max_seq_len": 50, "learning_rate": 3e-4},
        aliases={
            1: {"loss": "total_loss"},
            3: {"semantic_frame_acc": "sementic_frame_acc"},
            5: {"*rate/*": "learning_rate"},
            7: {"loss": "backward"},
            8: {"epoch.*": "training_data"},
        },
        published={
            1: {
                "sequence_output": "4.876189905189676e-07",
                "pooled_output": "3.2371076486015227e-07",
                "intent_logits": "1.3917054957346409e-06",
                "slot_logits": "5.844579504810099e-07",
                "total_loss": "0.0",
            },
            2: {f"dev_{b}_{f}": "0.0" for b in range(4) for f in FIELDS},
            3: {"loss": "7.737960132647714e-07", "sementic_frame_acc": "0.0"},
            4: "see 7",
            5: {"learning_rate": "0.0"},
            7: {"backward": "8.050096221268177e-05"},
            8: {"training_data": "0.0"},
        },
    )


def failing(layers: int = 1, updates: int = 12) -> Report:
    """A planted LayerNorm epsilon: steps 1, 7 and 10 red, 9 not claimed."""
    report = passing(layers, updates)
    verdicts = {v.number: v for v in report.verdicts if v.number != 9}
    verdicts[1] = _diverged_forward(verdicts[1])
    verdicts[7] = _diverged_backward(verdicts[7])
    verdicts[10] = _diverged_training(verdicts[10])
    return replace(
        report, outcome=DIVERGED, verdicts=tuple(verdicts.values()), fault="layernorm_eps"
    )


def _diverged_forward(verdict: Verdict) -> Verdict:
    names = verdict.details["modules"]
    start = names.index("bert.encoder.layer.0.output.LayerNorm")
    place = names[start]
    hint = "set epsilon to 1e-12, as the reference has"
    named = Finding(f"{place}.eps", "exact", DIVERGED, "1e-08 against 1e-12", (hint,), math.inf)
    message = "rms 9.8e-09 where 9.1e-13 is allowed; worst at (0, 3, 17): 0.41200001 against 0.412"
    forced = [
        Finding(
            place,
            "float64",
            DIVERGED,
            f"on the reference's inputs: {message} (batch {batch})",
            ratio=10_769.2,
            diff=diff(7.5e-9),
        )
        for batch in range(3)
    ]
    free = [
        Finding(f"float64/0/{n}#0.output.0", "float64", DIVERGED, message, "", 9e3, diff(7e-9))
        for n in names[start:]
    ]
    gaps = dict(verdict.series)
    gaps["gap/float64"] = tuple(
        rounded(9.8e-9 * (1 + 0.2 * (n - start))) if n >= start else g
        for n, g in enumerate(gaps["gap/float64"])
    )
    kept = tuple(f for f in verdict.findings if not f.name.startswith("float64/"))
    logits = [
        replace(f, outcome=DIVERGED, ratio=8e3, message=message, diff=diff(6e-9))
        for f in verdict.findings
        if f.name.startswith("float64/") and not f.name.endswith("/loss")
    ]
    return replace(
        verdict,
        outcome=DIVERGED,
        reason=f"{named.name}: {named.message}",
        findings=(*kept, named, *forced, *free, *logits),
        series=gaps,
        details={"modules": names, "at fault": [place]},
    )


def _diverged_backward(verdict: Verdict) -> Verdict:
    message = "rms 2.2e-09 where 1e-12 is allowed; worst at (17): 0.0031000001 against 0.0031"
    findings = [
        replace(f, outcome=DIVERGED, ratio=2.2e3, message=message, diff=diff(2e-9))
        if f.name.startswith("float64/")
        else f
        for f in verdict.findings
    ]
    return replace(
        verdict,
        outcome=DIVERGED,
        reason=f"{findings[2].name}: {message}",
        findings=tuple(findings),
        notes=("may follow from step 1: mend that first", *verdict.notes),
        series=verdict.series | {"float64/gap": tuple(rounded(n * 2e-9) for n in range(20))},
    )


def _diverged_training(verdict: Verdict) -> Verdict:
    curve = list(verdict.series["loss/candidate"])
    curve[-1] = math.nan
    gap = [*verdict.series["gap"][:-1], math.nan]
    message = f"the loss is nan at update {len(curve) - 1}"
    lost = Finding("float32/training/loss", "trajectory", DIVERGED, message, ratio=math.inf)
    return replace(
        verdict,
        outcome=DIVERGED,
        reason=f"{lost.name}: {message}",
        findings=(*verdict.findings, lost),
        notes=("may follow from step 1: mend that first", *verdict.notes),
        series=verdict.series | {"loss/candidate": tuple(curve), "gap": tuple(gap)},
    )


def inconclusive(layers: int = 1, updates: int = 12) -> Report:
    """An inference-only port, steps 1 to 3, whose scorer proves nothing."""
    report = passing(layers, updates)
    metrics = report.verdicts[2]
    hint = "train longer first (trained_updates), or choose other data"
    findings = tuple(
        Finding(
            f"{split}/slot_f1",
            "completeness",
            INCONCLUSIVE,
            "the reference scores 1, which proves nothing",
            (hint,),
        )
        for split in ("dev", "test")
    )
    metrics = replace(
        metrics,
        outcome=INCONCLUSIVE,
        reason=f"{findings[0].name}: {findings[0].message}",
        findings=(*metrics.findings, *findings),
    )
    verdicts = (*report.verdicts[:2], metrics)
    return replace(report, outcome=INCONCLUSIVE, verdicts=verdicts)


def hostile() -> Report:
    """A report whose every text was written by somebody who wishes its reader ill."""
    evil = (
        "\x1b[2J\x1b]0;owned\x07\x9b31m<script>alert(1)</script>&\"'|`x` \u202e\x00\x08\ud800\r\n"
        "```\n# heading <img src=x onerror=alert(2)> https://example.com"
    )
    worst = Finding(evil, evil, DIVERGED, evil, evil, math.nan, diff(math.nan))
    missing = Finding(f"{evil}2", evil, INCONCLUSIVE, evil, evil)
    series = {
        "gap/float64": (math.nan, 0.0, math.inf, 1e308),
        "gap/float32": (0.0, 0.0, 0.0, 0.0),
        "loss/reference": (1e308, -1e308, 5.0, math.nan),
        "loss/candidate": (math.nan,) * 4,
        "gap": (),
        "allowance": (math.inf,),
        "float64/gap": (5e-324, 1e-300),
    }
    details = {"modules": [evil] * 4, "at fault": [evil], "horizon": 99, evil: evil}
    verdicts = tuple(
        Verdict(
            number,
            evil,
            DIVERGED,
            f"{evil}: {evil}",
            (worst, missing),
            {evil: 3, "horizon": evil},
            (evil,),
            {evil: (math.nan, None), f"dev_{evil}": (None, math.inf)},
            series,
            {**details, "scores": {evil: [math.nan, 1.0], "odd": [1.0]}},
        )
        for number in range(1, 11)
    )
    return Report(
        evil,
        DIVERGED,
        verdicts,
        {"reference": {evil: evil}},
        {evil: evil},
        {1: {evil: evil}, 5: {"*": evil}, 7: {evil: evil}},
        {1: {evil: evil}, 4: evil, 5: {evil: evil}, 7: {evil: evil}},
        fault=evil,
    )


EXAMPLES = {"passing": passing, "failing": failing, "inconclusive": inconclusive}

if __name__ == "__main__":
    for title, build in EXAMPLES.items():
        write_all(build(layers=6, updates=400), Path(sys.argv[1]) / title)
