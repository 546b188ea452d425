"""The case: two sides, their settings, and how their parameters face each other."""

import numpy as np

from modelparity import Case, Rule, UsageError

# Each digit is five rows of three pixels; a row is an octal figure.
GLYPHS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")
SPLITS = {"train": 203, "dev": 101, "test": 101}  # the last batch of each is a partial one


def prepare(settings, directory):
    """Check the settings; write the data, unless `data` names a directory that has it."""
    if not 0.0 <= settings["dropout"] < 1.0:
        raise UsageError(f"setting dropout: {settings['dropout']}; it must be in [0, 1)")
    if settings["data"]:
        return settings
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for split, count in SPLITS.items():
        labels = rng.integers(0, 10, count)
        images = rng.integers(0, 90, (count, 8, 8))  # noise, enough for some mistakes
        for image, label in zip(images, labels, strict=True):
            top, left = rng.integers(1, 3, 2)
            for row, figure in enumerate(GLYPHS[label], start=top):
                image[row, left : left + 3] += [110 * (int(figure) >> bit & 1) for bit in (2, 1, 0)]
        np.save(directory / f"{split}.images.npy", images.astype(np.uint8))
        np.save(directory / f"{split}.labels.npy", labels)
    return {**settings, "data": str(directory)}


CASE = Case(
    name="digits",
    reference="examples.digits.reference",
    candidate="examples.digits.candidate",
    settings={
        "data": "",
        "seed": 1,
        "threads": 1,
        "batch_size": 16,
        "epochs": 3,
        "learning_rate": 0.2,
        "weight_decay": 0.002,
        "max_norm": 0.2,
        "dropout": 0.2,
        "trained_updates": 60,
    },
    paths=("data",),
    rules=(
        Rule("{norm*}.running_mean", "{norm*}._mean"),
        Rule("{norm*}.running_var", "{norm*}._variance"),
        Rule("head.weight", "head.weight", transpose=True),
    ),
    variants={
        "optimizer": ({"weight_decay": 0.0},),
        "regularisation": ({"weight_decay": 0.1},),
    },
    prepare=prepare,
)
