"""What Paddle layers were configured with, under common names."""

from typing import Any

from paddle import nn

ACTIVATIONS: tuple[tuple[type[Any], str], ...] = (
    (nn.ReLU, "relu"),
    (nn.Tanh, "tanh"),
    (nn.Silu, "silu"),
    (nn.Swish, "silu"),
    (nn.Sigmoid, "sigmoid"),
)
TRANSPOSED = (nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose)
DROPOUTS: tuple[tuple[type[Any], str], ...] = (
    (nn.Dropout, "dropout"),
    (nn.Dropout2D, "dropout2d"),
    (nn.Dropout3D, "dropout3d"),
    (nn.AlphaDropout, "alpha_dropout"),
    (nn.FeatureAlphaDropout, "feature_alpha_dropout"),
)


def configuration(model: nn.Layer) -> dict[str, dict[str, Any]]:
    """Settings of known sublayers under common names; subclasses count as their parents."""
    found = {name: _configured(layer) for name, layer in model.named_sublayers(include_self=True)}
    return {name: known for name, known in found.items() if known}


def _configured(layer: nn.Layer) -> dict[str, Any]:
    if isinstance(layer, nn.Linear):
        return {"kind": "linear", "bias": layer.bias is not None}
    if isinstance(layer, nn.Embedding):
        # Paddle zeroes the output there, PyTorch does not; a port that keeps the index for the
        # gradient alone defines an attribute of its own.
        own = None if layer._padding_idx == -1 else layer._padding_idx
        return {"kind": "embedding", "padding_index": getattr(layer, "padding_index", own)}
    if isinstance(layer, nn.layer.conv._ConvNd):
        return _convolution(layer)
    for dropout, kind in DROPOUTS:
        if isinstance(layer, dropout):
            return _dropout(kind, layer)
    return _norm(layer) or _activation(layer)


def _dropout(kind: str, layer: Any) -> dict[str, Any]:
    mode = getattr(layer, "mode", "upscale_in_train")
    found = {"kind": kind, "rate": float(layer.p), "mode": mode}
    if getattr(layer, "axis", None) is not None:
        found["axis"] = layer.axis
    return found


def _norm(layer: Any) -> dict[str, Any]:
    if isinstance(layer, nn.LayerNorm):
        return {"kind": "layernorm", "eps": float(layer._epsilon)}
    if isinstance(layer, nn.layer.norm._BatchNormBase | nn.BatchNorm):
        # Paddle keeps the share of the old statistics, PyTorch that of the new.
        share = round(1.0 - layer._momentum, 12)
        return {"kind": "batchnorm", "eps": float(layer._epsilon), "momentum": share}
    if isinstance(layer, nn.GroupNorm):
        return {"kind": "groupnorm", "eps": float(layer._epsilon), "groups": layer._num_groups}
    if any(cls.__name__.endswith("RMSNorm") for cls in type(layer).__mro__):
        for attribute in ("eps", "epsilon", "_epsilon", "variance_epsilon"):
            if hasattr(layer, attribute):
                return {"kind": "rmsnorm", "eps": float(getattr(layer, attribute))}
    return {}


def _convolution(layer: Any) -> dict[str, Any]:
    dimensions = len(layer._stride)
    transposed = isinstance(layer, TRANSPOSED)
    found = {
        "kind": "conv_transposed" if transposed else "conv",
        "bias": layer.bias is not None,
        "stride": [int(s) for s in layer._stride],
        "padding": _padding(layer._padding, dimensions),
        "padding_mode": layer._padding_mode,
        "dilation": [int(d) for d in layer._dilation],
        "groups": layer._groups,
    }
    if transposed:
        found["output_padding"] = _padding(layer.output_padding, dimensions)
    return found


def _padding(given: Any, dimensions: int) -> Any:
    """One number a dimension, as PyTorch has it; a name; or Paddle's uneven forms as they are."""
    if isinstance(given, str):
        return given.lower()
    if isinstance(given, int):
        return [given] * dimensions
    flat = [list(p) if isinstance(p, list | tuple) else int(p) for p in given]
    if len(flat) == 2 * dimensions and flat[::2] == flat[1::2]:  # before and after alike
        return flat[::2]
    return flat


def _activation(layer: Any) -> dict[str, Any]:
    if isinstance(layer, nn.GELU):
        return _form("gelu_tanh" if layer._approximate else "gelu")
    return next((_form(form) for kind, form in ACTIVATIONS if isinstance(layer, kind)), {})


def _form(form: str) -> dict[str, Any]:
    return {"kind": "activation", "form": form}
