"""Ten aligned verdicts, as a clean port of a small BERT would get them."""

import math
import random
from dataclasses import replace

from modelparity.model import Diff, Finding, Outcome, Verdict

ALIGNED, DIVERGED, INCONCLUSIVE = Outcome.ALIGNED, Outcome.DIVERGED, Outcome.INCONCLUSIVE
FIELDS = ("input_ids", "attention_mask", "token_type_ids", "intent_label_ids", "slot_labels_ids")


def rounded(value: float) -> float:
    """Six digits, so that no platform's last bit reaches a golden."""
    return float(f"{value:.6g}")


def diff(mean: float, elements: int = 1024, **changes: object) -> Diff:
    return replace(
        Diff(
            elements=elements,
            max_abs=rounded(8 * mean),
            mean_abs=mean,
            rms=rounded(1.3 * mean),
            reference_rms=0.91,
            reference_peak=3.2,
            unequal=elements if mean else 0,
            worst=(0, 3, 17),
            reference_value=0.412,
            candidate_value=rounded(0.412 + 8 * mean),
        ),
        **changes,
    )


def aligned(name: str, rule: str = "float64", mean: float = 1e-16, ratio: float = 1e-3) -> Finding:
    return Finding(name, rule, ALIGNED, ratio=ratio, diff=diff(mean))


def equal(name: str) -> Finding:
    return Finding(name, "exact", ALIGNED, diff=diff(0.0))


def modules(layers: int) -> list[str]:
    parts = ("attention.self.query", "attention.self.key", "attention.self.value")
    parts += ("attention.output.dense", "attention.output.LayerNorm")
    parts += ("intermediate.dense", "output.dense", "output.LayerNorm")
    names = ["bert.embeddings.word_embeddings", "bert.embeddings.LayerNorm"]
    names += [f"bert.encoder.layer.{n}.{part}" for n in range(layers) for part in parts]
    return [*names, "bert.pooler.dense", "intent_classifier", "slot_classifier"]


def forward(layers: int) -> Verdict:
    draw, names = random.Random(1), modules(layers)
    double = tuple(
        rounded(2e-16 * (1 + n) ** 0.5 * (0.6 + draw.random())) for n in range(len(names))
    )
    single = tuple(rounded(g * 5.4e8) for g in double)
    findings = [equal(f"{name}.weight") for name in names]
    findings += [aligned(f"forced/0/{name}", ratio=1e-4) for name in names]
    outputs = {
        "loss": (2.4e-7, 0.0),
        "intent_logits": (5.1e-7, 8.8e-16),
        "slot_logits": (4.4e-7, 7.9e-16),
        "sequence_output": (3.3e-7, 6.1e-16),
        "pooled_output": (2.7e-7, 5.2e-16),
    }
    for name, (mean32, mean64) in outputs.items():
        findings.append(aligned(f"float64/0/{name}", mean=mean64, ratio=8.8e-4))
        findings.append(aligned(f"float32/0/{name}", "noise", mean32, ratio=0.11))
    return Verdict(
        1,
        "forward",
        ALIGNED,
        f"{len(findings):,} comparisons within their limits",
        tuple(findings),
        {
            "parameters": len(names),
            "parameter elements": 22_713_216,
            "modules": len(names),
            "batches": 7,
            "arrays": 2 * len(names),
            "elements": 3_141_592,
        },
        ("1 module runs on one side only, compared by nothing: bert.encoder.dropout",),
        outputs,
        {"gap/float32": (0.0, *single[1:]), "gap/float64": (0.0, *double[1:])},
        {"modules": names, "at fault": []},
    )


def data(number: int, name: str, batches: dict[str, int]) -> Verdict:
    names = [f"{s}/{b}/{f}" for s, count in batches.items() for b in range(count) for f in FIELDS]
    return Verdict(
        number,
        name,
        ALIGNED,
        f"{len(names):,} comparisons within their limits",
        tuple(map(equal, names)),
        {f"{s} batches": c for s, c in batches.items()}
        | {"arrays": len(names), "elements": 1000 * len(names)},
        means={n.replace("/", "_"): (0.0, None) for n in names},
    )


def metrics() -> Verdict:
    scores = (
        "loss",
        "intent_acc",
        "slot_precision",
        "slot_recall",
        "slot_f1",
        "semantic_frame_acc",
    )
    names = [f"{split}/{score}" for split in ("dev", "test") for score in scores]
    findings = [aligned(f"float64/{n}", mean=0.0, ratio=0.0) for n in names]
    findings += [aligned(f"float32/{n}", "noise", 2.1e-8, ratio=0.2) for n in names]
    return Verdict(
        3,
        "metrics and loss",
        ALIGNED,
        f"{len(findings)} comparisons within their limits",
        tuple(findings),
        {"values": 32, "decisions": 60_268, "elements": 60_292, "updates before": 150},
        ("2 of 44650 test/slot_predictions flip in float32",),
        {n.replace("/", "_"): (2.1e-8, 0.0) for n in names},
        details={"scores": {n: [0.871 + k / 100, 0.871 + k / 100] for k, n in enumerate(names)}},
    )


def updates(number: int, name: str, groups: tuple[str, ...], **evidence: object) -> Verdict:
    findings = []
    for group in groups:
        for part in ("bert.pooler.dense.weight", "intent_classifier.bias"):
            findings.append(aligned(f"float64/{group}/{part}", mean=3e-17, ratio=4e-4))
            findings.append(aligned(f"float32/{group}/{part}", "noise", 4e-9, ratio=0.31))
    reason = f"{len(findings)} comparisons within their limits"
    return Verdict(number, name, ALIGNED, reason, tuple(findings), **evidence)


def optimizer() -> Verdict:
    kinds = ("parameter", "first_moment", "second_moment")
    groups = tuple(f"update.{n}/{kind}" for n in range(2) for kind in kinds)
    return updates(4, "optimizer", groups, coverage={"updates": 6, "elements": 136_279_296})


def rate(updates: int) -> Verdict:
    warm = max(2, updates // 10)
    curve = [min((n + 1) / warm, 1 - (n + 1 - warm) / updates) for n in range(updates)]
    rates = tuple(rounded(3e-4 * max(0.0, share)) for share in curve)
    found = Finding("rate/intent_classifier.bias", "schedule", ALIGNED, ratio=0.5, diff=diff(1e-21))
    return Verdict(
        5,
        "learning rate",
        ALIGNED,
        "1 comparison within its limit",
        (found,),
        {"schedules": 2, "updates": updates + 20, "parameters": 103},
        means={"learning_rate": (None, 1e-21)},
        series={"rate/reference": rates, "rate/candidate": rates},
    )


def regularisation() -> Verdict:
    groups = ("clip/below", "clip/above", "dropout/training", "dropout/evaluation")
    coverage = {"decay coefficients": 103, "dropout sites": 21, "arrays": 424, "elements": 91_000}
    return updates(6, "regularisation", groups, coverage=coverage)


def backward() -> Verdict:
    curve = tuple(rounded(3.2 * math.exp(-n / 14) + 0.4) for n in range(20))
    return updates(
        7,
        "backward",
        ("gradient/0", "trained"),
        coverage={"parameters": 103, "gradients": 206, "updates": 20, "elements": 45_426_432},
        notes=("gradient norms from 2.1 to 19; 20 of 20 updates clipped",),
        means={"loss": (3.8e-7, 2.2e-16)},
        series={
            "loss/reference": curve,
            "loss/candidate": curve,
            "float64/gap": tuple(rounded(n * n * 1e-17) for n in range(20)),
        },
    )


def initialisation() -> Verdict:
    findings = [equal(f"{name}.weight") for name in modules(1)[:4]]
    drawn = Finding("drawn/intent_classifier.weight", "distribution", ALIGNED, ratio=0.24)
    findings += [equal("constant/bert.embeddings.LayerNorm.bias"), drawn]
    coverage = {"parameters transferred": 4, "parameters drawn": 1, "constants": 1, "seeds": 6}
    return Verdict(
        9,
        "initialisation",
        ALIGNED,
        "6 comparisons within their limits",
        tuple(findings),
        coverage,
        means={"transferred_weights": (0.0, None)},
    )


def training(updates: int) -> Verdict:
    draw = random.Random(10)
    scale, horizon = 40 / updates, int(updates * 0.62)
    losses = [3.1 * math.exp(-n * scale / 9) + 0.25 + 0.2 * draw.random() for n in range(updates)]
    gaps, allowance, running = [], [], 0.0
    for n in range(updates):
        noise = 1.5e-7 * math.exp(n * scale / 2.6) * (0.2 + draw.random())
        running = max(running, min(noise, 0.5))
        gaps.append(rounded(min(3 * noise * draw.random(), 0.6)) if n else 0.0)
        allowance.append(rounded(10 * running))
    shifted = [
        a + (g if n > horizon else 0.0) for n, (a, g) in enumerate(zip(losses, gaps, strict=True))
    ]
    findings = [
        aligned("float64/training/loss", "trajectory", 4e-15, ratio=2e-3),
        aligned("float32/training/loss", "trajectory", 5e-6, ratio=0.31),
        aligned("float64/score/dev/slot_f1", mean=0.0, ratio=0.0),
    ]
    return Verdict(
        10,
        "training",
        ALIGNED,
        "3 comparisons within their limits",
        tuple(findings),
        {"float64 updates": 50, "float32 updates": updates, "horizon": horizon, "nudged runs": 4},
        (
            f"float32 is judged up to update {horizon}, where float32 runs of the reference "
            "part; nothing is claimed beyond it but the absence of gross differences",
        ),
        series={
            "loss/reference": tuple(map(rounded, losses)),
            "loss/candidate": tuple(map(rounded, shifted)),
            "gap": tuple(gaps),
            "allowance": tuple(allowance),
            "float64/gap": tuple(rounded(n * 2e-16 * math.exp(n * scale / 6)) for n in range(50)),
        },
        details={
            "horizon": horizon,
            "scores": {"dev/intent_acc": [0.962, 0.964], "dev/slot_f1": [0.9412, 0.9397]},
        },
    )
