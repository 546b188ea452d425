"""How the parameters of the PyTorch model face those of the PaddlePaddle port.

Every name is the same on both sides and needs no rule for that. What differs is layout: a linear
layer's weight is (out, in) in torch.nn.Linear and (in, out) in paddle.nn.Linear. Each such weight
is spelled out, so that a weight that nobody thought of cannot be transposed in silence.
"""

from modelparity import Rule

_LAYER = "bert.encoder.layer.{layer}"

TRANSPOSED = (
    f"{_LAYER}.attention.self.query.weight",
    f"{_LAYER}.attention.self.key.weight",
    f"{_LAYER}.attention.self.value.weight",
    f"{_LAYER}.attention.output.dense.weight",
    f"{_LAYER}.intermediate.dense.weight",
    f"{_LAYER}.output.dense.weight",
    "bert.pooler.dense.weight",
    "intent_classifier.linear.weight",
    "slot_classifier.linear.weight",
)

RULES = tuple(Rule(reference=name, candidate=name, transpose=True) for name in TRANSPOSED)
