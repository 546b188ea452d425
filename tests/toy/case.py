"""The toy's case: sequences of tokens, some padded, with a class each."""

import numpy as np

from modelparity import Case, Rule


def prepare(settings, directory):
    """Write the token files that both sides read by their own code."""
    if settings["data"]:
        return settings
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    for split, count in (("train", 97), ("dev", 33), ("test", 33)):
        lines = []
        for _ in range(count):
            label = int(rng.integers(0, 3))
            length = int(rng.integers(1, 7))
            tokens = rng.integers(1, 16, length)
            if rng.random() < 0.85:
                tokens[0] = 1 + label  # learnable, but not always
            lines.append(" ".join(map(str, [label, *tokens])))
        (directory / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return {**settings, "data": str(directory)}


CASE = Case(
    name="toy",
    reference="toy.reference",
    candidate="toy.candidate",
    settings={
        "data": "",
        "seed": 3,
        "learning_rate": 0.01,
        "epochs": 2,
        "warmup": 0,
        "constant": False,
        "weight_decay": 0.0,
        "max_norm": 1.0,
        "rate": 0.1,
        "trained_updates": 40,
        "longest": 6,
        "float32_norm": False,
        "lockstep_epochs": 1,
        "seeds": 0,
    },
    paths=("data",),
    rules=(
        Rule("embedding.weight", "embed.table"),
        Rule(("left.weight", "right.weight"), "both.kernel", transpose=True, axis=1),
        Rule(("left.bias", "right.bias"), "both.bias"),
        Rule("{name}.weight", "{name}.kernel", transpose=True),
    ),
    mask="mask",
    variants={
        "forward": ({}, {"longest": 3}),
        "optimizer": ({"constant": True},),
        "learning_rate": ({}, {"warmup": 4}),
        "regularisation": ({"weight_decay": 0.1, "constant": True},),
        "training": ({"weight_decay": 0.1},),
    },
    shared=("toy.framework", "toy.adapter", "toy.case"),
    prepare=prepare,
    faults="toy.faults:FAULTS",
)
