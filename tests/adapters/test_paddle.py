"""The Paddle adapter: capture, replacement, precision, dropout under masks, optimizers."""

import collections
import dataclasses
import math
import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest

# PyTorch comes first where both are installed: this order is the one that loads both.
try:
    import torch
except ImportError:
    torch = None
# Its import adapts the environment before Paddle loads, and Paddle's own import warns.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle")
    from modelparity.adapters import paddle as adapter

from paddle import nn
from paddle.nn import functional
from paddle.nn.functional import dropout as imported_dropout
from paddle.regularizer import L1Decay, L2Decay

from modelparity.adapters import REQUIRED
from modelparity.adapters._watch import flatten
from modelparity.errors import ParityError, UnreachableDropout, UsageError

# Said by every BatchNorm in training.
pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track")

Pair = collections.namedtuple("Pair", "sum product")


@dataclasses.dataclass
class Output:
    logits: object
    attention: object = None


class Attention(nn.Layer):
    """One head; its dropout is functional."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x, mask=None):
        scores = self.query(x) @ self.key(x).transpose([0, 2, 1])
        if mask is not None:
            scores = scores + (mask.astype(scores.dtype) - 1.0) * 1e4
        weights = functional.dropout(functional.softmax(scores), 0.25, training=self.training)
        return Output(logits=weights @ self.value(x), attention=(weights,))


class Model(nn.Layer):
    """Embedding, attention, a layer called twice, BatchNorm, a tied output."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.attention = Attention()
        self.twice = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1D(4)
        self.drop = nn.Dropout(0.5)
        self.tied = nn.Layer()
        self.tied.weight = self.embedding.weight
        self.frozen = self.create_parameter([2])
        self.frozen.stop_gradient = True
        self.register_buffer("saved", paddle.ones([2]))
        self.register_buffer("positions", paddle.arange(3))
        self.register_buffer("passing", paddle.ones([2]), persistable=False)

    def forward(self, ids, mask=None):
        x = self.embedding(ids + 0 * self.positions)
        x = self.attention(mask=mask, x=x).logits
        x = self.twice(paddle.tanh(self.twice(x)))
        x = self.drop(self.norm(x.transpose([0, 2, 1])).transpose([0, 2, 1]))
        return {"logits": x @ self.tied.weight.T, "count": 3}


class Calls(nn.Layer):
    """Runs whatever function it is given, on one input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


@pytest.fixture
def model():
    paddle.seed(0)
    return Model()


@pytest.fixture
def batch():
    return {
        "ids": paddle.to_tensor([[1, 2, 3], [4, 5, 0]]),
        "mask": paddle.to_tensor([[[1, 1, 1]], [[1, 1, 0]]]),
    }


def loss_of(model, batch):
    return model(**batch)["logits"].square().sum()


def keep_all(call):
    return np.ones(call.shape, bool)


def layers_of(model):
    return model.sublayers(include_self=True)


def hooks_of(model):
    return sum(len(m._forward_post_hooks) + len(m._forward_pre_hooks) for m in layers_of(model))


def equal(first, second):
    return np.array_equal(first.numpy(), second.numpy())


# --- the protocol, environment, precision


def test_it_has_every_function_of_the_protocol():
    assert [name for name in REQUIRED if not callable(getattr(adapter, name, None))] == []


def test_versions_name_the_framework_numpy_and_python():
    assert {"paddle", "numpy", "python"} <= set(adapter.versions())
    assert all(isinstance(version, str) for version in adapter.versions().values())


def test_start_sets_the_threads_and_reports_what_affects_rounding():
    facts = adapter.start(threads=1)
    assert facts["threads"] == "1"
    assert {"device", "matrix library", "MKL_DEBUG_CPU_TYPE"} <= set(facts)


def test_no_threads_means_all_cores():
    try:
        assert adapter.start(threads=0)["threads"] == str(os.cpu_count())
    finally:
        adapter.start(threads=1)


def test_a_negative_number_of_threads_is_refused():
    with pytest.raises(UsageError, match="threads: -1"):
        adapter.start(threads=-1)


@pytest.mark.parametrize(
    ("vendor", "given", "expected"),
    [("AuthenticAMD", "", "5"), ("AuthenticAMD", "4", "4"), ("GenuineIntel", "", "")],
)
def test_the_matrix_librarys_fast_path_is_asked_for_on_amd_only(vendor, given, expected):
    program = f"""
import os, sys, types
from pathlib import Path
Path.exists = lambda self: True
Path.read_text = lambda self, **_: "vendor_id : {vendor}"
sys.modules["paddle"] = None
try:
    import modelparity.adapters.paddle
except ImportError:
    print(os.environ.get("MKL_DEBUG_CPU_TYPE", ""))
"""
    environment = {k: v for k, v in os.environ.items() if k != "MKL_DEBUG_CPU_TYPE"}
    environment |= {"MKL_DEBUG_CPU_TYPE": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_precision_is_the_default_dtype():
    with adapter.precision("float64"):
        assert paddle.zeros([1]).dtype == paddle.float64
    assert paddle.get_default_dtype() == "float32"


def test_precision_ends_with_an_exception():
    with pytest.raises(KeyError), adapter.precision("float64"):
        raise KeyError
    assert paddle.get_default_dtype() == "float32"


def test_a_seed_repeats_every_generator():
    def drawn():
        adapter.seed(3)
        return paddle.rand([1]).item(), np.random.rand(), random.random()

    assert drawn() == drawn()


def test_cast_reaches_parameters_and_floating_buffers_and_no_integers(model, batch):
    adapter.cast(model, "float64")
    held = dict(model.named_parameters()) | dict(model.named_buffers())
    assert {t.dtype for t in held.values() if t.is_floating_point()} == {paddle.float64}
    assert model.positions.dtype == paddle.int64
    adapter.cast(model, "float32")
    assert model(**batch)["logits"].dtype == paddle.float32


def test_cast_names_what_stays(model):
    model.twice._apply = lambda *_args, **_kwargs: model.twice
    with pytest.raises(ParityError, match=r"twice\.weight: it stays"):
        adapter.cast(model, "float64")


def test_train_switches_every_sublayer(model):
    adapter.train(model, False)
    assert not any(m.training for m in layers_of(model))
    adapter.train(model, True)
    assert all(m.training for m in layers_of(model))


# --- arrays


def test_floats_of_a_batch_take_the_dtype_and_integers_keep_theirs():
    batch = {"x": np.ones(2, np.float32), "i": np.arange(2, dtype=np.int32), "b": np.array([True])}
    made = adapter.tensors(batch, "float64")
    kinds = [made[n].dtype for n in ("x", "i", "b")]
    assert kinds == [paddle.float64, paddle.int32, paddle.bool]


@pytest.mark.parametrize("values", [np.array(["a"]), np.ones(1, np.uint16)], ids=lambda v: v.dtype)
def test_a_batch_that_paddle_would_misread_is_refused_by_name(values):
    with pytest.raises(ParityError, match="field: "):
        adapter.tensors({"field": values}, "float32")


def test_a_scalar_of_a_batch_stays_one():
    assert adapter.tensors({"x": np.array(1.0)}, "float32")["x"].shape == []


def test_an_array_is_a_copy_of_the_same_dtype():
    tensor = paddle.ones([2]).astype("float16")
    array = adapter.array(tensor)
    tensor.zero_()
    assert (array.dtype, array.tolist()) == (np.float16, [1.0, 1.0])


def test_a_dtype_that_numpy_lacks_is_refused():
    with pytest.raises(ParityError, match="bfloat16"):
        adapter.array(paddle.ones([1]).astype("bfloat16"))


def test_a_sparse_gradient_is_refused():
    model = nn.Embedding(7, 4, sparse=True)
    model(paddle.to_tensor([1])).sum().backward()
    with pytest.raises(ParityError, match="sparse gradient"):
        adapter.gradients(model)


def test_like_takes_the_dtype_of_the_tensor():
    assert adapter.like(np.ones(1), paddle.ones([1])).dtype == paddle.float32


def test_parameters_are_named_once_and_include_saved_buffers(model):
    names = list(adapter.parameters(model))
    assert {"embedding.weight", "norm._mean", "norm._variance", "frozen", "saved"} <= set(names)
    assert not {"tied.weight", "passing", "positions"} & set(names)


def test_frozen_parameters_and_running_statistics_are_not_trainable(model):
    names = adapter.trainable(model)
    assert "twice.weight" in names
    assert not {"frozen", "norm._mean", "saved"} & set(names)


def test_a_parameter_array_does_not_follow_the_parameter(model):
    before = adapter.parameters(model)["twice.weight"]
    copy = before.copy()
    model.twice.weight.set_value(paddle.zeros([4, 4]))
    assert np.array_equal(before, copy)


def test_load_casts_and_leaves_the_rest(model):
    before = adapter.parameters(model)
    adapter.load(model, {"norm._mean": np.full(4, 0.5), "twice.bias": np.arange(4.0)})
    after = adapter.parameters(model)
    assert after["norm._mean"].dtype == np.float32
    assert after["twice.bias"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.array_equal(before["twice.weight"], after["twice.weight"])


@pytest.mark.parametrize("name", ["nothing", "twice.weight"])
def test_load_refuses_an_unknown_name_or_another_shape_before_it_copies(model, name):
    before = adapter.parameters(model)["twice.bias"]
    with pytest.raises(ParityError, match=name):
        adapter.load(model, {"twice.bias": np.ones(4), name: np.ones((1, 2))})
    assert np.array_equal(adapter.parameters(model)["twice.bias"], before)


# --- configuration


class OwnNorm(nn.LayerNorm):
    pass


class PlainRMSNorm(nn.Layer):
    epsilon = 1e-6


class OwnEmbedding(nn.Embedding):
    padding_index = 0


CONVOLUTION = {
    "kind": "conv",
    "bias": False,
    "stride": [1, 2],
    "padding": [1, 1],
    "padding_mode": "zeros",
    "dilation": [1, 1],
    "groups": 2,
}
UPSCALE, DOWNSCALE = "upscale_in_train", "downscale_in_infer"
CONFIGURED = [
    (lambda: OwnNorm(4, epsilon=1e-12), {"kind": "layernorm", "eps": 1e-12}),
    (
        lambda: nn.BatchNorm2D(4, momentum=0.9),
        {"kind": "batchnorm", "eps": 1e-5, "momentum": 0.1},
    ),
    (lambda: nn.GroupNorm(2, 4), {"kind": "groupnorm", "eps": 1e-5, "groups": 2}),
    (PlainRMSNorm, {"kind": "rmsnorm", "eps": 1e-6}),
    (lambda: nn.Linear(2, 2, bias_attr=False), {"kind": "linear", "bias": False}),
    (lambda: nn.Embedding(3, 2), {"kind": "embedding", "padding_index": None}),
    (lambda: nn.Embedding(3, 2, padding_idx=0), {"kind": "embedding", "padding_index": 0}),
    (lambda: OwnEmbedding(3, 2), {"kind": "embedding", "padding_index": 0}),
    (lambda: nn.Dropout(0.25), {"kind": "dropout", "rate": 0.25, "mode": UPSCALE}),
    (
        lambda: nn.Dropout(0.25, mode=DOWNSCALE),
        {"kind": "dropout", "rate": 0.25, "mode": DOWNSCALE},
    ),
    (nn.GELU, {"kind": "activation", "form": "gelu"}),
    (lambda: nn.GELU(approximate=True), {"kind": "activation", "form": "gelu_tanh"}),
    (nn.ReLU, {"kind": "activation", "form": "relu"}),
    (nn.Tanh, {"kind": "activation", "form": "tanh"}),
    (nn.Silu, {"kind": "activation", "form": "silu"}),
    (nn.Sigmoid, {"kind": "activation", "form": "sigmoid"}),
    (lambda: nn.Conv2D(2, 4, 3, (1, 2), 1, groups=2, bias_attr=False), CONVOLUTION),
    (lambda: nn.Conv2D(2, 4, 3, (1, 2), [1, 1, 1, 1], groups=2, bias_attr=False), CONVOLUTION),
    (
        lambda: nn.Conv2D(2, 4, 3, (1, 2), "SAME", groups=2, bias_attr=False),
        {**CONVOLUTION, "padding": "same"},
    ),
]


@pytest.mark.parametrize(("build", "expected"), CONFIGURED)
def test_a_layer_is_configured_under_common_names(build, expected):
    assert adapter.configuration(nn.Sequential(build())) == {"0": expected}


# --- gradients


def test_gradients_are_absent_where_there_are_none(model, batch):
    adapter.backward(loss_of(model, batch))
    found = adapter.gradients(model)
    assert "twice.weight" in found
    assert "frozen" not in found


def test_set_gradients_replaces_all_of_them(model, batch):
    adapter.backward(loss_of(model, batch))
    adapter.set_gradients(model, {"twice.bias": np.arange(4.0)})
    assert {n: g.tolist() for n, g in adapter.gradients(model).items()} == {
        "twice.bias": [0.0, 1.0, 2.0, 3.0]
    }


def test_gradients_do_not_pile_up_once_they_are_cleared(model, batch):
    adapter.train(model, False)
    adapter.backward(loss_of(model, batch))
    first = adapter.gradients(model)["twice.weight"]
    adapter.set_gradients(model, {})
    adapter.backward(loss_of(model, batch))
    assert np.array_equal(adapter.gradients(model)["twice.weight"], first)


@pytest.mark.parametrize("name", ["nothing", "twice.bias"])
def test_set_gradients_refuses_an_unknown_name_or_another_shape(model, name):
    with pytest.raises(ValueError, match=name):
        adapter.set_gradients(model, {name: np.ones((1, 2))})


# --- observe


def test_every_run_is_observed_in_order_with_its_index(model, batch):
    seen = []
    with adapter.observe(model, after=lambda call, _: seen.append((call.module, call.index))):
        model(**batch)
    assert [one for one in seen if one[0] == "twice"] == [("twice", 0), ("twice", 1)]
    assert seen[0] == ("embedding", 0)
    assert seen[-1] == ("", 0)


def test_leaves_are_layers_without_sublayers(model, batch):
    leaves = {}
    with adapter.observe(model, after=lambda call, _: leaves.update({call.module: call.leaf})):
        model(**batch)
    assert (leaves[""], leaves["attention"], leaves["twice"]) == (False, False, True)


def test_inputs_come_in_the_order_of_the_signature(model, batch):
    seen = {}
    with adapter.observe(model, before=lambda call, inputs: seen.update({call.module: inputs})):
        model(**batch)
    assert [list(t.shape) for t in seen["attention"]] == [[2, 3, 4], [2, 1, 3]]


def test_a_replaced_keyword_input_takes_effect(model, batch):
    adapter.train(model, False)

    def unmask(call, inputs):
        return [inputs[0], paddle.ones_like(inputs[1])] if call.module == "attention" else None

    with adapter.observe(model, before=unmask):
        replaced = model(**batch)["logits"]
    unmasked = {"ids": batch["ids"], "mask": paddle.ones_like(batch["mask"])}
    assert equal(replaced, model(**unmasked)["logits"])
    assert not equal(replaced, model(**batch)["logits"])


def test_replaced_outputs_keep_their_structure(model, batch):
    adapter.train(model, False)
    with adapter.observe(model, after=lambda _, outputs: [t * 0.0 for t in outputs]):
        output = model(**batch)
    assert set(output) == {"logits", "count"}
    assert not output["logits"].numpy().any()


STRUCTURES = [
    lambda x: (x, [x + 1, None]),
    lambda x: {"a": x, "b": {"c": x + 1}},
    lambda x: collections.OrderedDict([(0, x), (1, x + 1)]),
    lambda x: Pair(x, x + 1),
    lambda x: Output(x, (x + 1,)),
]


@pytest.mark.parametrize("function", STRUCTURES)
def test_a_structure_is_rebuilt_around_replaced_tensors(function):
    model, x = Calls(function), paddle.ones([2, 3])
    with adapter.observe(model, after=lambda _, outputs: [t + 2 for t in outputs]):
        output = model(x)
    expected = function(x)
    assert type(output) is type(expected)
    assert [t.tolist() for t in flatten(output, paddle.Tensor)] == [
        (t + 2).tolist() for t in flatten(expected, paddle.Tensor)
    ]


def test_too_few_replacements_are_refused(model, batch):
    with (
        pytest.raises(ParityError, match="1 tensors in place of 2"),
        adapter.observe(model, before=lambda call, inputs: inputs[:1]),
    ):
        model(**batch)


def test_again_runs_the_forward_on_other_tensors_unobserved(model, batch):
    adapter.train(model, False)
    outer, results, zeros = [], [], paddle.zeros([2, 3, 4])

    def after(call, _outputs):
        if call.module == "attention":
            results.extend(call.again([zeros, batch["mask"]]))

    with (
        adapter.observe(model, after=lambda call, _: outer.append(call.module)),
        adapter.observe(model, after=after),
    ):
        model(**batch)
    assert equal(results[0], model.attention(zeros, batch["mask"]).logits)
    assert outer.count("attention.query") == 1


def test_observation_ends_with_the_block_and_with_an_exception(model, batch):
    seen = []
    with pytest.raises(KeyError), adapter.observe(model, after=lambda c, _: seen.append(c)):
        raise KeyError
    model(**batch)
    assert (seen, hooks_of(model)) == ([], 0)


def fails(_x):
    raise RuntimeError


def test_an_exception_that_is_caught_inside_leaves_the_order_intact():
    class Tries(nn.Layer):
        def __init__(self):
            super().__init__()
            self.bad, self.good = Calls(fails), Calls(lambda x: x + 1)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(x)

    model, seen = Tries(), []
    with adapter.observe(model, after=lambda call, _: seen.append(call.module)):
        model(paddle.ones([2, 3]))
    assert seen == ["good", ""]


# --- dropout


def run_dropout(model, batch, draw):
    with adapter.dropout(model, draw):
        return model(**batch)["logits"]


def test_layers_and_functions_are_sites(model, batch):
    calls = []
    run_dropout(model, batch, lambda call: calls.append(call) or keep_all(call))
    assert [(c.site, c.index, c.rate, c.active) for c in calls] == [
        ("attention", 0, 0.25, True),
        ("drop", 0, 0.5, True),
    ]
    assert [(c.scale, c.shape) for c in calls] == [(1 / 0.75, (2, 3, 3)), (2.0, (2, 3, 4))]


def test_inactive_sites_are_told_and_change_nothing(model, batch):
    adapter.train(model, False)
    calls = []
    output = run_dropout(model, batch, lambda call: calls.append(call) or ~keep_all(call))
    assert [c.active for c in calls] == [False, False]
    assert equal(output, model(**batch)["logits"])


def test_a_mask_decides_values_and_gradients():
    x = paddle.ones([4])
    x.stop_gradient = False
    keep = np.array([True, False, True, False])
    model = nn.Sequential(nn.Dropout(0.2))
    with adapter.dropout(model, lambda call: keep):
        output = model(x)
    output.sum().backward()
    assert output.tolist() == [1.25, 0.0, 1.25, 0.0]
    assert x.grad.tolist() == [1.25, 0.0, 1.25, 0.0]


def test_the_scale_is_exact_in_float64():
    model = nn.Sequential(nn.Dropout(0.09))
    with adapter.dropout(model, keep_all):
        output = model(paddle.ones([1], dtype="float64"))
    assert output.item() == 1 / (1 - 0.09)


def test_the_other_mode_scales_in_evaluation():
    model, scales = nn.Sequential(nn.Dropout(0.25, mode=DOWNSCALE)), []
    x = paddle.ones([1, 1])
    with adapter.dropout(model, lambda call: scales.append(call.scale) or keep_all(call)):
        trained = model(x).item()
        model.eval()
        evaluated = model(x).item()
    assert (trained, evaluated) == (1.0, 0.75)
    assert scales == [1.0, 0.75]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: imported_dropout(x, 0.5),
        lambda x: functional.dropout(x, 0.5, inplace=True),
    ],
    ids=["imported by name", "in place"],
)
def test_every_way_to_the_dropout_takes_the_mask(function):
    model = Calls(function)
    with adapter.dropout(model, lambda call: np.array([True, False])):
        assert model(paddle.ones([2])).tolist() == [2.0, 0.0]


def test_attention_of_paddle_takes_the_mask():
    model, sites = nn.MultiHeadAttention(4, 1, dropout=0.5), []
    with adapter.dropout(model, lambda call: sites.append(call.site) or keep_all(call)):
        model(paddle.ones([1, 2, 4]))
    assert sites == [""]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Dropout2D(0.5), (2, 3, 1, 1)),
        (nn.Dropout(0.5, axis=1), (1, 3, 1, 1)),
        (nn.Dropout(0.5, axis=[0, 3]), (2, 1, 1, 4)),
    ],
    ids=["channels", "one axis", "two axes"],
)
def test_a_dropout_along_axes_takes_one_element_for_the_others(model, expected):
    x, drawn = paddle.randn([2, 3, 4, 4]), []

    def draw(call):
        drawn.append((call.shape, call.scale))
        return np.arange(math.prod(call.shape)).reshape(call.shape) % 2 == 0

    with adapter.dropout(model, draw):
        given = model(x)
    assert drawn == [(expected, 2.0)]
    kept = np.arange(math.prod(expected)).reshape(expected) % 2 == 0
    assert np.array_equal(given.numpy(), 2.0 * x.numpy() * kept)


UNREACHABLE = {
    "alpha": lambda: nn.AlphaDropout(0.5),
    "recurrent": lambda: nn.LSTM(4, 4, num_layers=2, dropout=0.5),
}


def input_of(name):
    return paddle.ones([2, 3, 4] if name == "recurrent" else [1, 2, 3, 4])


@pytest.mark.parametrize("name", UNREACHABLE)
def test_a_dropout_that_takes_no_mask_is_refused(name):
    model = nn.Sequential(UNREACHABLE[name]())
    with pytest.raises(UnreachableDropout, match="0: dropout"), adapter.dropout(model, keep_all):
        model(input_of(name))


@pytest.mark.parametrize("name", UNREACHABLE)
def test_the_same_is_let_through_in_evaluation(name):
    model = nn.Sequential(UNREACHABLE[name]())
    model.eval()
    with adapter.dropout(model, keep_all):
        assert model(input_of(name)) is not None


def test_attention_that_drops_in_its_kernel_is_refused(monkeypatch):
    monkeypatch.setattr(functional, "scaled_dot_product_attention", lambda q, *_, **__: q)
    model = Calls(lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5))
    with pytest.raises(UnreachableDropout, match="scaled_dot_product"):  # noqa: SIM117
        with adapter.dropout(model, keep_all):
            model(paddle.ones([1, 2, 1, 4]))


def test_composed_attention_takes_the_mask():
    model, calls = Calls(functional.scaled_dot_product_attention), []
    x = paddle.ones([1, 2, 1, 4])
    model.function = lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
    with adapter.dropout(model, lambda call: calls.append(call.rate) or ~keep_all(call)):
        output = model(x)
    assert calls == [0.5]
    assert not output.numpy().any()


def test_a_mask_of_another_shape_is_refused(model, batch):
    with pytest.raises(ParityError, match="a mask of shape"):
        run_dropout(model, batch, lambda call: np.ones(1, bool))


def test_dropout_is_restored_after_an_exception(model, batch):
    before = functional.dropout, functional.common.dropout, paddle._C_ops.dropout

    def fail(call):
        raise KeyError(call.site)

    adapter.seed(0)
    expected = paddle.rand([1]).item()
    adapter.seed(0)
    with pytest.raises(KeyError):
        run_dropout(model, batch, fail)
    assert (functional.dropout, functional.common.dropout, paddle._C_ops.dropout) == before
    assert hooks_of(model) == 0
    assert paddle.rand([1]).item() == expected


def test_the_site_is_right_after_an_exception_inside():
    class Tries(nn.Layer):
        def __init__(self):
            super().__init__()
            self.bad, self.drop = Calls(fails), nn.Dropout(0.5)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return functional.dropout(self.drop(x), 0.5)

    sites, tries = [], nn.Sequential(Tries())
    with adapter.dropout(tries, lambda call: sites.append(call.site) or keep_all(call)):
        tries(paddle.ones([2, 3]))
    assert sites == ["0.drop", "0"]


# --- optimizers

OPTIMIZERS = paddle.optimizer


def grouped(model, kind, **options):
    named = [(n, p) for n, p in model.named_parameters() if not p.stop_gradient]
    plain = [p for n, p in named if n.endswith("bias")]
    rest = [p for n, p in named if not n.endswith("bias")]
    groups = [{"params": rest}, {"params": plain, "weight_decay": 0.0, "learning_rate": 0.5}]
    return kind(parameters=groups, **options)


def settings_of(model, optimizer):
    found = adapter.optimizer_configuration(model, optimizer)
    return {key: value for key, value in found.items() if key != "decay"}


def test_decay_is_asked_by_the_generated_name(model):
    chosen = {model.twice.weight.name}
    optimizer = OPTIMIZERS.AdamW(
        0.25,
        parameters=model.parameters(),
        weight_decay=0.01,
        apply_decay_param_fun=chosen.__contains__,
    )
    decay = adapter.optimizer_configuration(model, optimizer)["decay"]
    assert {name for name, value in decay.items() if value} == {"twice.weight"}
    assert decay["twice.weight"] == 0.01
    assert set(decay) == set(adapter.trainable(model))
    assert settings_of(model, optimizer) == {
        "kind": "adamw",
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "amsgrad": False,
        "coupled": False,
    }


@pytest.mark.parametrize("kind", ["AdamW", "Adam", "Momentum"])
def test_decay_is_read_per_group(model, batch, kind):
    options = {"momentum": 0.875} if kind == "Momentum" else {}
    optimizer = grouped(model, getattr(OPTIMIZERS, kind), weight_decay=0.25, **options)
    for _ in range(2):  # the update leaves the last group's settings in the optimizer
        decay = adapter.optimizer_configuration(model, optimizer)["decay"]
        assert (decay["twice.weight"], decay["twice.bias"]) == (0.25, 0.0)
        adapter.backward(loss_of(model, batch))
        optimizer.step()


@pytest.mark.parametrize("decay", [0.5, L2Decay(0.5)], ids=["number", "L2Decay"])
@pytest.mark.parametrize("kind", ["Adam", "Momentum", "SGD"])
def test_a_regularizer_is_a_coupled_decay(model, kind, decay):
    optimizer = getattr(OPTIMIZERS, kind)(parameters=model.parameters(), weight_decay=decay)
    found = adapter.optimizer_configuration(model, optimizer)
    assert (found["kind"], found["coupled"]) == (kind.lower(), True)
    assert found["decay"]["twice.bias"] == 0.5


def test_a_parameters_own_regularizer_comes_first():
    model = nn.Linear(2, 2, weight_attr=paddle.ParamAttr(regularizer=L2Decay(0.25)))
    optimizer = OPTIMIZERS.Momentum(parameters=model.parameters(), weight_decay=0.5)
    decay = adapter.optimizer_configuration(model, optimizer)["decay"]
    assert decay == {"weight": 0.25, "bias": 0.5}


def test_an_l1_decay_does_not_pass_for_an_l2_decay(model):
    optimizer = OPTIMIZERS.SGD(parameters=model.parameters(), weight_decay=L1Decay(0.5))
    found = adapter.optimizer_configuration(model, optimizer)
    assert (found["decay"]["twice.bias"], found["l1_decay"]["twice.bias"]) == (0.0, 0.5)


def test_momentum_and_plain_descent_are_told_apart(model):
    momentum = OPTIMIZERS.Momentum(0.5, 0.875, model.parameters(), use_nesterov=True)
    assert settings_of(model, momentum) == {
        "kind": "momentum",
        "momentum": 0.875,
        "nesterov": True,
        "coupled": True,
    }
    plain = {"kind": "sgd", "coupled": True}
    assert settings_of(model, OPTIMIZERS.SGD(0.5, model.parameters())) == plain
    assert settings_of(model, OPTIMIZERS.Momentum(0.5, 0.0, model.parameters())) == plain


def test_state_is_absent_before_the_first_update_and_named_after_it(model, batch):
    optimizer = OPTIMIZERS.AdamW(parameters=model.parameters())
    assert adapter.optimizer_state(model, optimizer) == {}
    adapter.backward(loss_of(model, batch))
    optimizer.step()
    states = adapter.optimizer_state(model, optimizer)
    gradient = adapter.gradients(model)["twice.weight"]
    assert set(states) <= set(adapter.trainable(model))
    assert set(states["twice.weight"]) == {"first_moment", "second_moment"}
    np.testing.assert_allclose(states["twice.weight"]["first_moment"], 0.1 * gradient, rtol=1e-5)


def test_momentum_is_a_state(model, batch):
    optimizer = OPTIMIZERS.Momentum(0.1, 0.9, model.parameters())
    adapter.backward(loss_of(model, batch))
    optimizer.step()
    assert set(adapter.optimizer_state(model, optimizer)["twice.bias"]) == {"momentum"}


def norm_of(gradients):
    return np.sqrt(sum(float(np.square(g).sum()) for g in gradients.values()))


@pytest.mark.parametrize("multi", [False, True], ids=["plain", "multi-tensor"])
@pytest.mark.parametrize("kind", ["AdamW", "Adam", "SGD", "Momentum"])
def test_an_update_is_seen_before_its_rule_behind_the_clipping_and_without_decay(
    model, batch, kind, multi
):
    if multi and kind not in ("Adam", "Momentum"):
        pytest.skip("Paddle has it for Adam and Momentum")
    optimizer = getattr(OPTIMIZERS, kind)(
        parameters=model.parameters(),
        weight_decay=0.5,
        grad_clip=nn.ClipGradByGlobalNorm(1e-3),
        **({"use_multi_tensor": True} if multi else {}),
    )
    adapter.backward(loss_of(model, batch))
    before, seen = adapter.parameters(model)["twice.weight"], []

    def note(applied):
        seen.append((applied.gradients(), adapter.parameters(model)["twice.weight"]))

    with adapter.watch_updates(model, optimizer, note):
        optimizer.step()
    optimizer.step()
    gradients, weights = seen[0]
    assert len(seen) == 1
    assert norm_of(gradients) == pytest.approx(1e-3, rel=1e-4)
    assert np.array_equal(weights, before)


def test_groups_are_clipped_apart_and_are_one_update(model, batch):
    clip = nn.ClipGradByGlobalNorm(1e-3)
    optimizer, seen = grouped(model, OPTIMIZERS.AdamW, grad_clip=clip), []
    adapter.backward(loss_of(model, batch))
    with adapter.watch_updates(model, optimizer, lambda applied: seen.append(applied.gradients())):
        optimizer.step()
    assert len(seen) == 1
    biases = {n: g for n, g in seen[0].items() if n.endswith("bias")}
    assert 0 < len(biases) < len(seen[0])
    assert norm_of(biases) == pytest.approx(1e-3, rel=1e-4)


def test_rates_follow_the_schedule_and_the_groups(model, batch):
    schedule = OPTIMIZERS.lr.StepDecay(0.5, step_size=1, gamma=0.5)
    optimizer, seen = grouped(model, OPTIMIZERS.AdamW, learning_rate=schedule), []
    adapter.backward(loss_of(model, batch))
    with adapter.watch_updates(model, optimizer, lambda applied: seen.append(applied.rates)):
        optimizer.step()
        schedule.step()
        optimizer.step()
    assert [(r["twice.weight"], r["twice.bias"]) for r in seen] == [(0.5, 0.25), (0.25, 0.125)]
    assert set(seen[0]) == set(adapter.trainable(model))


def test_watching_ends_with_an_exception_and_may_be_nested(model, batch):
    optimizer = OPTIMIZERS.SGD(parameters=model.parameters())
    adapter.backward(loss_of(model, batch))
    outer = []
    with adapter.watch_updates(model, optimizer, outer.append):
        with pytest.raises(KeyError), adapter.watch_updates(model, optimizer, outer.append):
            raise KeyError
        optimizer.step()
    assert len(outer) == 1
    assert not {"step", "append_regularization_ops"} & set(vars(optimizer))


# --- float64 against PyTorch

UPDATES = 20
ROUNDING = 1e-14  # twice what one ulp an update could add up to


def weights_after(decay, model_of):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(7, 5)), rng.normal(size=(UPDATES, 7, 5))
    gradients *= 10.0 ** rng.integers(-6, 1, (UPDATES, 1, 1))
    return model_of(start, gradients, decay)


def in_torch(start, gradients, decay):
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.AdamW([weight], 1e-3, (0.9, 0.999), 1e-8, weight_decay=decay)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    return weight.detach().numpy()


def in_paddle(start, gradients, decay):
    layer = nn.Linear(*start.shape, bias_attr=False)
    with adapter.precision("float64"):
        adapter.cast(layer, "float64")
        adapter.load(layer, {"weight": start})
        optimizer = OPTIMIZERS.AdamW(
            1e-3, 0.9, 0.999, 1e-8, parameters=layer.parameters(), weight_decay=decay
        )
        for gradient in gradients:
            adapter.set_gradients(layer, {"weight": gradient})
            optimizer.step()
    return adapter.parameters(layer)["weight"]


def apart(candidate, reference):
    return np.sqrt(np.square(candidate - reference).mean() / np.square(reference).mean())


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("decay", [0.0, 2.0**-7])
def test_adamw_in_float64_is_that_of_pytorch(decay):
    candidate, reference = (weights_after(decay, f) for f in (in_paddle, in_torch))
    assert candidate.dtype == np.float64
    assert apart(candidate, reference) <= ROUNDING


@pytest.mark.skipif(torch is None, reason="torch is not installed")
def test_a_decay_coefficient_acts_as_it_was_given():
    adapter.start(threads=1)
    candidate = weights_after(0.01, in_paddle)
    assert apart(candidate, weights_after(0.01, in_torch)) <= ROUNDING
    rounded = weights_after(float(np.float32(0.01)), in_torch)
    assert 1e-13 < apart(candidate, rounded) < 1e-11
