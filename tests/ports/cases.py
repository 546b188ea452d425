"""The cases: a convolutional net with BatchNorm, and a small GPT. Their data are drawn here."""

import numpy as np

from modelparity import Case, Rule

WAVES = ((1, 0), (0, 1), (1, 1), (2, -1), (1, -2))  # periods along both axes, by class
SPLITS = {"train": 131, "dev": 67, "test": 67}  # the last batch of each is a partial one


def images(settings, directory):
    """Coloured waves under noise; the class is their direction."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[:8, :8] / 8
    for split, count in SPLITS.items():
        labels = rng.integers(0, len(WAVES), count)
        drawn = rng.normal(128, 60, (count, 8, 8, 3))
        for image, label in zip(drawn, labels, strict=True):
            down, across = WAVES[label]
            phase = rng.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * (down * rows + across * columns) + phase)
            image += 50 * wave[..., None] * rng.uniform(0.3, 1, 3)
        pixels = np.clip(drawn, 0, 255).astype(np.uint8)
        np.savez(directory / f"{split}.npz", images=pixels, labels=labels)
    return {**settings, "data": str(directory)}


def sentences(settings, directory):
    """Walks over tokens, of which most steps can be told from the token before; 1 ends them."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(12)
    for split, count in SPLITS.items():
        lines = []
        for _ in range(count):
            walk = [int(rng.integers(2, 24))]
            for _ in range(int(rng.integers(1, 9))):
                step = walk[-1] * 5 if rng.random() < 0.8 else int(rng.integers(0, 22))
                walk.append(2 + step % 22)
            lines.append(" ".join(map(str, [*walk, 1])))
        (directory / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {**settings, "data": str(directory)}


CONVNET = Case(
    name="convnet",
    reference="ports.convnet_torch",
    candidate="ports.convnet_paddle",
    settings={
        "data": "",
        "seed": 1,
        "threads": 1,
        "batch_size": 16,
        "epochs": 2,
        "learning_rate": 0.05,
        "weight_decay": 5e-4,
        "constant": False,
        "dropout": 0.1,
        "trained_updates": 40,
    },
    paths=("data",),
    rules=(
        Rule("{norm}.running_mean", "{norm}._mean"),
        Rule("{norm}.running_var", "{norm}._variance"),
        Rule("head.weight", "head.weight", transpose=True),
    ),
    variants={
        "optimizer": ({"weight_decay": 0.0, "constant": True},),
        "regularisation": ({"weight_decay": 0.1, "constant": True},),
    },
    prepare=images,
)

PARTS = ("query", "key", "value")
GPT = Case(
    name="gpt",
    reference="ports.gpt_torch",
    candidate="ports.gpt_paddle",
    settings={
        "data": "",
        "seed": 1,
        "threads": 1,
        "batch_size": 16,
        "epochs": 2,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "warmup": 0,
        "constant": False,
        "max_norm": 1.0,
        "dropout": 0.1,
        "trained_updates": 40,
    },
    paths=("data",),
    rules=(
        Rule("{a*}.qkv.weight", tuple(f"{{a*}}.{p}.weight" for p in PARTS), transpose=True, axis=1),
        Rule("{a*}.qkv.bias", tuple(f"{{a*}}.{p}.bias" for p in PARTS)),
        Rule("{block*}.{layer}.weight", "{block*}.{layer}.weight", transpose=True),
    ),
    mask="mask",
    variants={
        "optimizer": ({"constant": True},),
        "learning_rate": ({}, {"warmup": 3}),
        "regularisation": ({"weight_decay": 0.1, "constant": True},),
    },
    prepare=sentences,
)
