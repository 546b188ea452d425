"""Whether what Paddle slices and transposes shares the memory of its source."""

from collections.abc import Iterator
from contextlib import contextmanager

import paddle

FLAG = "FLAGS_use_stride_kernel"


@contextmanager
def views(wanted: bool) -> Iterator[None]:
    """Slices and transposed tensors are views meanwhile, or copies.

    Copies for what computes: a matrix product of a view first makes a copy after all, by a CPU
    kernel so slow that a training step took a third longer. Views for what writes through them.
    What was computed on views cannot be differentiated while slices are copies; the reverse can.
    The flag is the process's, so it is put back.
    """
    before = paddle.get_flags(FLAG)
    paddle.set_flags({FLAG: wanted})
    try:
        yield
    finally:
        paddle.set_flags(before)
