"""JointBERT: intents and slots from one BERT encoder, in PyTorch and in PaddlePaddle.

The two implementations, `jointbert.in_torch` and `jointbert.in_paddle`, are twins: same files, same
classes, same order of functions. Importing this package loads neither framework.
"""

from jointbert.parser import Intent, Parse, Parser, Slot

__all__ = ["Intent", "Parse", "Parser", "Slot"]
