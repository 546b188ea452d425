"""What PyTorch modules were configured with, under common names."""

from typing import Any

from torch import nn

# By class name where the class is not PyTorch's own: Hugging Face's activation modules.
FORMS = {
    "GELUActivation": "gelu",
    "GELUTanh": "gelu_tanh",
    "NewGELUActivation": "gelu_tanh",
    "PytorchGELUTanh": "gelu_tanh",
    "FastGELUActivation": "gelu_tanh",
    "SiLUActivation": "silu",
}
ACTIVATIONS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.ReLU, "relu"),
    (nn.Tanh, "tanh"),
    (nn.SiLU, "silu"),
    (nn.Sigmoid, "sigmoid"),
)
DROPOUTS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Dropout, "dropout"),
    (nn.Dropout1d, "dropout1d"),
    (nn.Dropout2d, "dropout2d"),
    (nn.Dropout3d, "dropout3d"),
    (nn.AlphaDropout, "alpha_dropout"),
    (nn.FeatureAlphaDropout, "feature_alpha_dropout"),
)


def configuration(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Settings of known submodules under common names; subclasses count as their parents."""
    found = {name: _configured(module) for name, module in model.named_modules()}
    return {name: known for name, known in found.items() if known}


def _configured(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, nn.Linear):
        return {"kind": "linear", "bias": module.bias is not None}
    if isinstance(module, nn.Embedding):
        return {"kind": "embedding", "padding_index": module.padding_idx}
    if isinstance(module, nn.modules.conv._ConvNd):
        return _convolution(module)
    for dropout, kind in DROPOUTS:
        if isinstance(module, dropout):
            # The only mode that PyTorch has; Paddle has two.
            return {"kind": kind, "rate": float(module.p), "mode": "upscale_in_train"}
    return _norm(module) or _activation(module)


def _norm(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, nn.LayerNorm):
        return {"kind": "layernorm", "eps": float(module.eps)}
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        momentum = None if module.momentum is None else float(module.momentum)
        return {"kind": "batchnorm", "eps": float(module.eps), "momentum": momentum}
    if isinstance(module, nn.GroupNorm):
        return {"kind": "groupnorm", "eps": float(module.eps), "groups": module.num_groups}
    if any(cls.__name__.endswith("RMSNorm") for cls in type(module).__mro__):
        for attribute in ("eps", "variance_epsilon"):  # PyTorch's name and Hugging Face's
            if hasattr(module, attribute):
                eps = getattr(module, attribute)  # None: the smallest step of the input's dtype
                return {"kind": "rmsnorm", "eps": None if eps is None else float(eps)}
    return {}


def _convolution(module: nn.modules.conv._ConvNd) -> dict[str, Any]:
    padding = module.padding
    found = {
        "kind": "conv_transposed" if module.transposed else "conv",
        "bias": module.bias is not None,
        "stride": list(module.stride),
        "padding": padding if isinstance(padding, str) else list(padding),
        "padding_mode": module.padding_mode,
        "dilation": list(module.dilation),
        "groups": module.groups,
    }
    if module.transposed:
        found["output_padding"] = list(module.output_padding)
    return found


def _activation(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, nn.GELU):
        return _form("gelu_tanh" if module.approximate == "tanh" else "gelu")
    for activation, form in ACTIVATIONS:
        if isinstance(module, activation):
            return _form(form)
    names = [cls.__name__ for cls in type(module).__mro__]
    return next((_form(FORMS[name]) for name in names if name in FORMS), {})


def _form(form: str) -> dict[str, Any]:
    return {"kind": "activation", "form": form}
