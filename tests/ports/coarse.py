"""Wrong ports of the convolutional net that float64 does not show: coarse in float32 alone."""

import paddle

from jointbert.faults.planting import built, running
from modelparity import Fault


def _is_rough(model):
    return model.stem.weight.dtype == paddle.float32


def _halved(tensor, kind="bfloat16"):
    return tensor.astype(kind).astype("float32")


def _coarse_gradient(forward, model, batch):
    """The gradient of the second convolution's outputs, as a fast kernel rounds it."""

    def rounded(_layer, _inputs, output):
        if output.dtype == paddle.float32 and not output.stop_gradient:
            output.register_hook(_halved)
        return output

    hook = model.body.register_forward_post_hook(rounded)
    try:
        return forward(model, batch)
    finally:
        hook.remove()


def _weights_in_half(update, model, optimizer, schedule, settings):
    """From the eighth update on; step 4 makes six."""
    update(model, optimizer, schedule, settings)
    model.updates = getattr(model, "updates", 0) + 1
    if model.updates >= 8 and _is_rough(model):
        model.body.weight.set_value(_halved(model.body.weight, "float16"))


def _statistics_in_half(update, model, optimizer, schedule, settings):
    update(model, optimizer, schedule, settings)
    if _is_rough(model):
        model.norm2._mean.set_value(_halved(model.norm2._mean))


def _kernel(model):
    """Forward too: a convolution whose weights are rounded as it reads them."""
    body, own = model.body, model.body.forward

    def forward(x):
        if x.dtype != paddle.float32:
            return own(x)
        weight = body.weight + (_halved(body.weight) - body.weight).detach()
        return paddle.nn.functional.conv2d(x, weight, padding=1)

    body.forward = forward


FAULTS = (
    Fault("kernel", 7, "gradient/0/", "weights read in bfloat16", built(_kernel)),
    Fault("gradient", 7, "gradient/0/stem", "in bfloat16", running("forward", _coarse_gradient)),
    Fault("weights", 7, "trained/body", "float16, late", running("update", _weights_in_half)),
    Fault("weights-late", 10, "trained/body", "float16", running("update", _weights_in_half)),
    Fault("means", 10, "running_mean", "bfloat16", running("update", _statistics_in_half)),
)
