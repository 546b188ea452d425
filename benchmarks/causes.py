"""By which words a report's hint is known to name a planted fault's cause.

A hint names the cause where it says what the port does otherwise, not merely where: so an entry
asks for the mechanism's own words. A fault of another case has no entry and counts as not named.
"""

import re
from collections.abc import Mapping

from modelparity import Fault, Verdict
from modelparity.report.ladder import offenders

COUNTED = 2  # a cause must stand among the first two hints

CAUSES: Mapping[str, str] = {
    # step 1
    "layernorm-eps": r"\beps 1e-0?8",
    "gelu-tanh": r"tanh (approximation|form)",
    "query-transposed": r"transposed",
    "attention-unmasked": r"not masked|attend to",
    "pooler-without-tanh": r"no activation|identity",
    "pooler-last-position": r"last position|position -1",
    "positions-from-one": r"rows one further|one too|counted from 1",
    "residual-missing": r"missing from the sum|residual|it is the output of",
    "dropout-in-evaluation": r"dropout (is active|in evaluation|stays on)",
    "slot-loss-over-all-positions": r"number of|positions|mean over",
    "published-port": r"index|rows? 0|selects|first sentence",
    "positions-fixed": r"trained|trainable|freezes",
    "attention-scaled-by-width": r"divided by sqrt\(all features\)",
    "heads-by-reshape": r"heads are",
    "mask-as-index": r"index|rows? 0|selects|first sentence",
    "batch-of-one-squeezed": r"squeeze|axis of|an axis|shape",
    "unknown-as-padding": r"padding|\[UNK\]|row",
    "one-weight-in-half": r"float16",
    # step 2
    "evaluation-drops-last-batch": r"missing, the last|last batch",
    "case-kept": r"\b(lower|upper|letter) ?case|\bcase\b",
    "accents-kept": r"accent",
    "truncation-loses-sep": r"last value differs.*cut|\[SEP\]",
    "label-order": r"renumbered|permut|order of labels",
    "last-batch-filled-up": r"more rows|filled|repeat",
    "vocabulary-garbled": r"vocabulary|Latin-1|piece",
    "labels-on-every-piece": r"piece",
    "nameless-words-dropped": r"dropped|missing",
    "unseen-label-outside": r"renumbered|fall together|\bUNK\b",
    # step 3
    "token-level-f1": r"token|word|single labels",
    "macro-f1": r"macro|averaged over (types|kinds|labels)",
    "mean-of-batch-means": r"mean of (the )?(batch|mean)",
    "order-of-batches": r"another order|permut|order of",
    "orphans-ignored": r"\bI-|IOB|begin",
    "frames-without-intent": r"intent",
    "positions-clamped": r"position|longer|long",
    "one-row-lost": r"\brow\b|one token|piece",
    # step 4
    "adam-eps": r"\beps 1e-0?6|\beps is 1e-0?6",
    "adam-beta2": r"\bbeta2",
    "adam-uncorrected": r"not corrected",
    "adam-eps-uncorrected": r"eps is added before",
    # step 5
    "schedule-steps-first": r"one update too early",
    "warmup-ignored": r"warm-up are ignored|ignores warm-up",
    "schedule-ends-early": r"end is at update|ends early",
    "rate-below-zero": r"below zero",
    # step 6
    "clip-each-tensor": r"clipped by its own norm",
    "clip-without-epsilon": r"without PyTorch's 1e-6",
    "decay-on-biases": r"decay",
    "decay-on-layernorm": r"decay",
    "decay-in-gradient": r"added to the gradient|coupled",
    "decay-after-update": r"what was updated decays|after the update",
    "dropout-rate": r"\brate\b",
    "attention-without-dropout": r"\brate\b|never drops|no dropout",
    "decay-names-match-nothing": r"decay",
    # step 7
    "token-types-detached": r"zero everywhere|no gradient|detached|cut off",
    "intent-stops-at-pooler": r"zero everywhere|no gradient|detached|cut off",
    "gradient-overwritten": r"overwrit|added up|occur|repeat|accumulat",
    "gelu-other-gradient": r"tanh|GELU|act_fn",
    "loss-scale-kept": r"\b1024\b",
    "lazy-rows": r"lazy|rest|rows",
    "optimizer-anew-each-epoch": r"moment|anew|\bstate\b|first update",
    # step 8
    "same-order-every-epoch": r"epoch",
    "training-drops-last-batch": r"rows are missing|last batch",
    "not-shuffled": r"another order|not shuffled|order of the file",
    "batches-by-length": r"sorted by|same batches in another order",
    # step 9
    "heads-by-xavier": r"Xavier|Glorot",
    "positions-too-wide": r"2 times|twice|standard deviation",
    "words-without-tails": r"\bcut\b|truncated",
    "padding-drawn": r"padding|row 0|\brow\b",
    "biases-drawn": r"drawn|uniform",
    "heads-by-kaiming": r"Kaiming|torch.nn.Linear",
    "seed-in-the-model": r"seed|same in every|every run|do(es)? not change",
    # step 10
    "clipping-ends": r"clip",
    "correction-restarted": r"correct|count of updates|counts from the first again",
    "mask-kept": r"mask",
    "mask-redrawn-in-backward": r"mask|drawn again",
    "words-frozen-later": r"learn|frozen|word_embeddings",
    "old-copy-evaluated": r"copy|old|updates (ago|before)",
    "moments-lost": r"moment|\bstate\b|resum",
    "left-in-evaluation-mode": r"evaluation mode|dropout",
}


def hints(verdict: Verdict) -> list[str]:
    """What a verdict says of the cause, in the order in which a report shows it."""
    return list(dict.fromkeys(hint for found in offenders(verdict) for hint in found.hints))


def cause_named(fault: Fault, verdict: Verdict) -> bool:
    """Whether one of the first two hints names the cause of a fault."""
    words = CAUSES.get(fault.name, "")
    said = hints(verdict)[:COUNTED]
    return bool(words) and any(re.search(words, hint, re.IGNORECASE) for hint in said)
