"""Wrong reference sides of both nets: each has one bug, and names the step and the place."""

import torch
from torch.nn import functional

from jointbert.faults.planting import built
from modelparity import Fault
from ports import convnet_torch, gpt_torch
from ports.planting import of_class


def _eps(model):
    model.norm2.eps = 1e-3


def _momentum(model):
    model.norm1.momentum = 0.9


def _biased(model):
    norm = model.norm1

    def forward(x):
        if not norm.training:
            return type(norm).forward(norm, x)
        with torch.no_grad():
            variance = norm.running_var * 0.9 + 0.1 * x.var((0, 2, 3), correction=0)
        y = type(norm).forward(norm, x)
        norm.running_var = variance  # the old one is kept for the gradient
        return y

    norm.forward = forward


class _ChannelsLast(convnet_torch.Net):
    def forward(self, image):
        x = functional.relu(self.norm1(self.stem(image)))
        x = functional.relu(x + self.norm2(self.body(x)))
        x = self.pool(functional.relu(self.norm3(self.down(x))))
        return self.head(self.drop(x.permute(0, 2, 3, 1).flatten(1)))


def _attention(split, **how):
    """The first block's attention, with its own way from the fused projection to the heads."""

    def change(model):
        attention = model.first.attention

        def forward(x):
            query, key, value = split(attention.qkv(x))
            y = functional.scaled_dot_product_attention(query, key, value, **how)
            return attention.out(y.transpose(1, 2).flatten(2))

        attention.forward = forward

    return built(change)


def _as_given(fused):
    return fused.unflatten(-1, (3, gpt_torch.HEADS, -1)).permute(2, 0, 3, 1, 4)


def _key_first(fused):
    key, query, value = _as_given(fused)
    return query, key, value


def _by_head(fused):
    """As fused weights that hold query, key and value of one head after the other."""
    return fused.unflatten(-1, (gpt_torch.HEADS, 3, -1)).permute(3, 0, 2, 1, 4)


def _untied(model):
    model.head.weight = torch.nn.Parameter(model.tokens.weight.detach().clone())


def _rms_eps(model):
    model.norm.eps = 1e-6


def _positions(model):
    positions = model.positions
    positions.forward = lambda places: functional.embedding(places + 1, positions.weight)


OUT = "glue before first.attention.out"
CONVNETS = (
    Fault("bn-eps", 1, "norm2.eps", "eps 1e-3", built(_eps)),
    Fault("bn-momentum", 1, "norm1.momentum", "0.9 taken as it is", built(_momentum)),
    Fault("channels-last", 1, "glue before drop", "by NHWC", of_class(_ChannelsLast)),
    Fault("bn-biased", 10, "norm1.running_var", "biased variance", built(_biased)),
)
GPTS = (
    Fault("acausal", 1, OUT, "no mask", _attention(_as_given, is_causal=False)),
    Fault("order", 1, OUT, "keys first", _attention(_key_first, is_causal=True)),
    Fault("by-head", 1, OUT, "head by head", _attention(_by_head, is_causal=True)),
    Fault("unscaled", 1, OUT, "no 1 / sqrt(d)", _attention(_as_given, is_causal=True, scale=1.0)),
    Fault("untied", 1, "head.weight", "a head of its own", built(_untied)),
    Fault("rms-eps", 1, "norm.eps", "eps 1e-6", built(_rms_eps)),
    Fault("positions", 1, "positions:", "counted from 1", built(_positions)),
)
