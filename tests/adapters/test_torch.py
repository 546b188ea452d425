"""The PyTorch adapter: capture, replacement, precision, dropout under masks, optimizers."""

import collections
import dataclasses
import math
import os
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.functional import dropout as imported_dropout  # noqa: E402

from modelparity.adapters import REQUIRED  # noqa: E402
from modelparity.adapters import torch as adapter  # noqa: E402
from modelparity.adapters._watch import flatten  # noqa: E402
from modelparity.errors import ParityError, UnreachableDropout, UsageError  # noqa: E402

Pair = collections.namedtuple("Pair", "sum product")


@dataclasses.dataclass
class Output:
    logits: object
    attention: object = None


class Attention(nn.Module):
    """One head; its dropout is functional."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x, mask=None):
        scores = self.query(x) @ self.key(x).transpose(-1, -2)
        scores = scores if mask is None else scores.masked_fill(mask == 0, -1e4)
        weights = functional.dropout(scores.softmax(-1), 0.25, self.training)
        return Output(logits=weights @ self.value(x), attention=(weights,))


class Model(nn.Module):
    """Embedding, attention, a module called twice, BatchNorm, a tied output."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4, padding_idx=0)
        self.attention = Attention()
        self.twice = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("positions", torch.arange(3))
        self.register_buffer("passing", torch.ones(2), persistent=False)

    def forward(self, ids, mask=None):
        x = self.embedding(ids + 0 * self.positions)
        x = self.attention(mask=mask, x=x).logits
        x = self.twice(torch.tanh(self.twice(x)))
        x = self.drop(self.norm(x.transpose(1, 2)).transpose(1, 2))
        return {"logits": self.head(x), "count": 3}


class Calls(nn.Module):
    """Runs whatever function it is given, on one input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def batch():
    return {
        "ids": torch.tensor([[1, 2, 3], [4, 5, 0]]),
        "mask": torch.tensor([[[1, 1, 1]], [[1, 1, 0]]]),
    }


def loss_of(model, batch):
    return model(**batch)["logits"].square().sum()


def keep_all(call):
    return np.ones(call.shape, bool)


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# --- the protocol, environment, precision


def test_it_has_every_function_of_the_protocol():
    assert [name for name in REQUIRED if not callable(getattr(adapter, name, None))] == []


def test_versions_name_the_framework_numpy_and_python():
    assert {"torch", "numpy", "python"} <= set(adapter.versions())
    assert all(isinstance(version, str) for version in adapter.versions().values())


def test_start_sets_the_threads_and_reports_what_affects_rounding():
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        facts = adapter.start(threads=1)
        assert (facts["threads"], torch.get_num_threads()) == ("1", 1)
        assert {"device", "matrix library", "MKL_DEBUG_CPU_TYPE"} <= set(facts)
        assert adapter.start(threads=0)["threads"] == str(os.cpu_count())
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)


def test_a_negative_number_of_threads_is_refused():
    with pytest.raises(UsageError, match="threads: -1"):
        adapter.start(threads=-1)


def test_precision_is_the_default_dtype():
    with adapter.precision("float64"):
        assert torch.zeros(1).dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32


def test_precision_ends_with_an_exception():
    with pytest.raises(KeyError), adapter.precision("float64"):
        raise KeyError
    assert torch.get_default_dtype() == torch.float32


def test_a_seed_repeats_every_generator():
    def drawn():
        adapter.seed(3)
        return float(torch.rand(())), np.random.rand(), random.random()

    assert drawn() == drawn()


def test_cast_reaches_parameters_and_floating_buffers_and_no_integers(model, batch):
    adapter.cast(model, "float64")
    held = dict(model.named_parameters()) | dict(model.named_buffers())
    assert {t.dtype for t in held.values() if t.is_floating_point()} == {torch.float64}
    assert model.positions.dtype == torch.int64
    adapter.cast(model, "float32")
    assert model(**batch)["logits"].dtype == torch.float32


def test_cast_names_what_stays(model):
    model.twice._apply = lambda *_args, **_kwargs: model.twice
    with pytest.raises(ParityError, match=r"twice\.weight: it stays"):
        adapter.cast(model, "float64")


def test_train_switches_every_submodule(model):
    adapter.train(model, False)
    assert not any(m.training for m in model.modules())
    adapter.train(model, True)
    assert all(m.training for m in model.modules())


# --- arrays


def test_floats_of_a_batch_take_the_dtype_and_integers_keep_theirs():
    batch = {"x": np.ones(2, np.float32), "i": np.arange(2, dtype=np.int32), "b": np.array([True])}
    made = adapter.tensors(batch, "float64")
    kinds = [made[n].dtype for n in ("x", "i", "b")]
    assert kinds == [torch.float64, torch.int32, torch.bool]


def test_a_batch_of_strings_is_refused_by_name():
    with pytest.raises(ParityError, match="text: "):
        adapter.tensors({"text": np.array(["a"])}, "float32")


def test_an_array_is_a_copy_of_the_same_dtype():
    tensor = torch.ones(2, dtype=torch.float16)
    array = adapter.array(tensor)
    tensor.zero_()
    assert (array.dtype, array.tolist()) == (np.float16, [1.0, 1.0])


def test_a_dtype_that_numpy_lacks_is_refused():
    with pytest.raises(ParityError, match="bfloat16"):
        adapter.array(torch.ones(1, dtype=torch.bfloat16))


def test_like_takes_the_dtype_of_the_tensor():
    assert adapter.like(np.ones(1), torch.ones(1)).dtype == torch.float32


def test_parameters_are_named_once_and_include_saved_buffers(model):
    names = list(adapter.parameters(model))
    assert {"embedding.weight", "norm.running_mean", "norm.running_var", "frozen"} <= set(names)
    assert not {"head.weight", "passing", "positions", "norm.num_batches_tracked"} & set(names)


def test_frozen_parameters_and_buffers_are_not_trainable(model):
    names = adapter.trainable(model)
    assert "twice.weight" in names
    assert not {"frozen", "norm.running_mean"} & set(names)


def test_a_parameter_array_does_not_follow_the_parameter(model):
    before = adapter.parameters(model)["twice.weight"]
    copy = before.copy()
    with torch.no_grad():
        model.twice.weight.zero_()
    assert np.array_equal(before, copy)


def test_load_casts_and_leaves_the_rest(model):
    before = adapter.parameters(model)
    adapter.load(model, {"norm.running_mean": np.full(4, 0.5), "twice.bias": np.arange(4.0)})
    after = adapter.parameters(model)
    assert after["norm.running_mean"].dtype == np.float32
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


class PlainRMSNorm(nn.Module):
    variance_epsilon = 1e-6


CONFIGURED = [
    (OwnNorm(4, eps=1e-12), {"kind": "layernorm", "eps": 1e-12}),
    (nn.BatchNorm2d(4, momentum=0.125), {"kind": "batchnorm", "eps": 1e-5, "momentum": 0.125}),
    (nn.GroupNorm(2, 4), {"kind": "groupnorm", "eps": 1e-5, "groups": 2}),
    (PlainRMSNorm(), {"kind": "rmsnorm", "eps": 1e-6}),
    (nn.Linear(2, 2, bias=False), {"kind": "linear", "bias": False}),
    (nn.Embedding(3, 2), {"kind": "embedding", "padding_index": None}),
    (nn.Embedding(3, 2, padding_idx=0), {"kind": "embedding", "padding_index": 0}),
    (nn.Dropout(0.25), {"kind": "dropout", "rate": 0.25, "mode": "upscale_in_train"}),
    (nn.GELU(), {"kind": "activation", "form": "gelu"}),
    (nn.GELU(approximate="tanh"), {"kind": "activation", "form": "gelu_tanh"}),
    (nn.ReLU(), {"kind": "activation", "form": "relu"}),
    (nn.Tanh(), {"kind": "activation", "form": "tanh"}),
    (nn.SiLU(), {"kind": "activation", "form": "silu"}),
    (nn.Sigmoid(), {"kind": "activation", "form": "sigmoid"}),
    (
        nn.Conv2d(2, 4, 3, stride=(1, 2), padding=1, groups=2, bias=False),
        {
            "kind": "conv",
            "bias": False,
            "stride": [1, 2],
            "padding": [1, 1],
            "padding_mode": "zeros",
            "dilation": [1, 1],
            "groups": 2,
        },
    ),
]


@pytest.mark.parametrize(("module", "expected"), CONFIGURED, ids=lambda v: type(v).__name__)
def test_a_module_is_configured_under_common_names(module, expected):
    assert adapter.configuration(nn.Sequential(module)) == {"0": expected}


@pytest.mark.parametrize(
    ("name", "form"),
    [("GELUActivation", "gelu"), ("NewGELUActivation", "gelu_tanh"), ("GELUTanh", "gelu_tanh")],
)
def test_hugging_faces_activations_are_known(name, form):
    activations = pytest.importorskip("transformers.activations")
    found = adapter.configuration(nn.Sequential(getattr(activations, name)()))
    assert found["0"]["form"] == form


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


def test_leaves_are_modules_without_submodules(model, batch):
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
        return [inputs[0], torch.ones_like(inputs[1])] if call.module == "attention" else None

    with adapter.observe(model, before=unmask):
        replaced = model(**batch)["logits"]
    expected = model(batch["ids"])["logits"]
    assert torch.equal(replaced, expected)
    assert not torch.equal(replaced, model(**batch)["logits"])


def test_replaced_outputs_keep_their_structure(model, batch):
    adapter.train(model, False)
    with adapter.observe(model, after=lambda _, outputs: [torch.zeros_like(t) for t in outputs]):
        output = model(**batch)
    assert set(output) == {"logits", "count"}
    assert not output["logits"].any()


STRUCTURES = [
    lambda x: (x, [x + 1, None]),
    lambda x: {"a": x, "b": {"c": x + 1}},
    lambda x: collections.OrderedDict([(0, x), (1, x + 1)]),
    lambda x: Pair(x, x + 1),
    lambda x: Output(x, (x + 1,)),
    lambda x: torch.stack([x, x + 1], 1).max(1),
]


@pytest.mark.parametrize("function", STRUCTURES)
def test_a_structure_is_rebuilt_around_replaced_tensors(function):
    model, x = Calls(function), torch.ones(2, 3)
    with adapter.observe(model, after=lambda _, outputs: [t + 2 for t in outputs]):
        output = model(x)
    expected = function(x)
    assert type(output) is type(expected)
    assert [t.tolist() for t in flatten(output, torch.Tensor)] == [
        (t + 2).tolist() for t in flatten(expected, torch.Tensor)
    ]


def test_hugging_faces_outputs_are_rebuilt():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    build = outputs.BaseModelOutputWithPooling
    model = Calls(lambda x: build(last_hidden_state=x, hidden_states=(x, x)))
    with adapter.observe(model, after=lambda _, found: [t + i for i, t in enumerate(found)]):
        output = model(torch.zeros(1))
    assert isinstance(output, build)
    assert (output.last_hidden_state.item(), output["hidden_states"][1].item()) == (0.0, 2.0)


def test_too_few_replacements_are_refused(model, batch):
    with (
        pytest.raises(ParityError, match="1 tensors in place of 2"),
        adapter.observe(model, before=lambda call, inputs: inputs[:1]),
    ):
        model(**batch)


def test_again_runs_the_forward_on_other_tensors_unobserved(model, batch):
    adapter.train(model, False)
    outer, results = [], []

    def after(call, _outputs):
        if call.module == "attention":
            results.extend(call.again([torch.zeros(2, 3, 4), batch["mask"]]))

    with (
        adapter.observe(model, after=lambda call, _: outer.append(call.module)),
        adapter.observe(model, after=after),
    ):
        model(**batch)
    expected = model.attention(torch.zeros(2, 3, 4), batch["mask"])
    assert torch.equal(results[0], expected.logits)
    assert outer.count("attention.query") == 1


def test_observation_ends_with_the_block_and_with_an_exception(model, batch):
    seen = []
    with pytest.raises(KeyError), adapter.observe(model, after=lambda c, _: seen.append(c)):
        raise KeyError
    model(**batch)
    assert (seen, hooks_of(model)) == ([], 0)


def test_an_exception_that_is_caught_inside_leaves_the_order_intact():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = Calls(lambda x: x @ x), Calls(lambda x: x + 1)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(x)

    model, seen = Tries(), []
    with adapter.observe(model, after=lambda call, _: seen.append(call.module)):
        model(torch.ones(2, 3))
    assert seen == ["good", ""]


# --- dropout


def run_dropout(model, batch, draw):
    with adapter.dropout(model, draw):
        return model(**batch)["logits"]


def test_modules_and_functions_are_sites(model, batch):
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
    assert torch.equal(output, model(**batch)["logits"])


def test_a_mask_decides_values_and_gradients():
    x = torch.ones(4, requires_grad=True)
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
        output = model(torch.ones(1, dtype=torch.float64))
    assert output.item() == 1 / (1 - 0.09)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: imported_dropout(x, 0.5),
        lambda x: torch.dropout(x, 0.5, True),
        lambda x: functional.dropout(x, 0.5, inplace=True),
    ],
    ids=["imported by name", "torch.dropout", "in place"],
)
def test_every_way_to_the_dropout_takes_the_mask(function):
    model = Calls(function)
    with adapter.dropout(model, lambda call: np.array([True, False])):
        assert model(torch.ones(2)).tolist() == [2.0, 0.0]


def test_attention_of_pytorch_takes_the_mask():
    model, sites = nn.MultiheadAttention(4, 1, dropout=0.5), []
    x = torch.ones(2, 1, 4)
    with adapter.dropout(model, lambda call: sites.append(call.site) or keep_all(call)):
        model(x, x, x)
    assert sites == [""]


def test_fused_attention_takes_the_mask_by_its_formula():
    x = torch.randn(2, 3, 4, 8, dtype=torch.float64)
    allowed = torch.ones(4, 4, dtype=torch.bool).tril()
    model, attend = nn.Sequential(nn.Identity()), functional.scaled_dot_product_attention
    for mask in (None, allowed, torch.randn(4, 4, dtype=torch.float64)):
        expected = attend(x, x, x, mask)
        sites = []
        with adapter.dropout(
            model, lambda call, met=sites: met.append(call.rate) or keep_all(call)
        ):
            given = attend(x, x, x, mask, 0.5)
        assert sites == [0.5]
        assert torch.allclose(given, 2.0 * expected, rtol=1e-12)


CHANNELS = {
    "a batch": (nn.Dropout2d(0.5), (2, 3, 4, 4), (2, 3, 1, 1)),
    "signals": (nn.Dropout1d(0.5), (2, 3, 4), (2, 3, 1)),
    "one signal": (nn.Dropout1d(0.5), (3, 4), (3, 1)),
    "volumes": (nn.Dropout3d(0.5), (2, 3, 4, 4, 4), (2, 3, 1, 1, 1)),
    "by the operator": (Calls(lambda x: torch.feature_dropout(x, 0.5, True)), (2, 3, 4), (2, 3, 1)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_dropout_of_channels_takes_one_element_for_each(name):
    model, shape, expected = CHANNELS[name]
    x, drawn = torch.randn(shape), []

    def draw(call):
        drawn.append((call.shape, call.scale))
        return np.arange(math.prod(call.shape)).reshape(call.shape) % 2 == 0

    with adapter.dropout(model, draw):
        given = model(x)
    assert drawn == [(expected, 2.0)]
    kept = torch.arange(math.prod(expected)).reshape(expected) % 2 == 0
    assert torch.equal(given, 2.0 * x * kept)


UNREACHABLE = {
    "causal attention": Calls(
        lambda x: functional.scaled_dot_product_attention(x, x, x, None, 0.1, True)
    ),
    "alpha": nn.AlphaDropout(0.5),
    "native": Calls(lambda x: torch.native_dropout(x, 0.5, True)),
    "recurrent": nn.LSTM(4, 4, num_layers=2, dropout=0.5),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_a_dropout_that_takes_no_mask_is_refused(name):
    model = nn.Sequential(UNREACHABLE[name])
    x = torch.ones(2, 3, 4) if name == "recurrent" else torch.ones(1, 2, 3, 4)
    with pytest.raises(UnreachableDropout, match="0: dropout"), adapter.dropout(model, keep_all):
        model(x)


@pytest.mark.parametrize("name", ["alpha", "recurrent"])
def test_the_same_is_let_through_in_evaluation(name):
    model = nn.Sequential(UNREACHABLE[name]).eval()
    x = torch.ones(2, 3, 4) if name == "recurrent" else torch.ones(1, 2, 3, 4)
    try:
        with adapter.dropout(model, keep_all):
            assert model(x) is not None
    finally:
        model.train()


def test_a_mask_of_another_shape_is_refused(model, batch):
    with pytest.raises(ParityError, match="a mask of shape"):
        run_dropout(model, batch, lambda call: np.ones(1, bool))


def test_dropout_is_restored_after_an_exception(model, batch):
    real, attention = functional.dropout, functional.scaled_dot_product_attention
    state = torch.get_rng_state()

    def fail(call):
        raise KeyError(call.site)

    with pytest.raises(KeyError):
        run_dropout(model, batch, fail)
    assert (functional.dropout, functional.scaled_dot_product_attention) == (real, attention)
    assert hooks_of(model) == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_the_site_is_right_after_an_exception_inside():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.drop = Calls(lambda x: x @ x), nn.Dropout(0.5)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return functional.dropout(self.drop(x), 0.5)

    sites, tries = [], nn.Sequential(Tries())
    with adapter.dropout(tries, lambda call: sites.append(call.site) or keep_all(call)):
        tries(torch.ones(2, 3))
    assert sites == ["0.drop", "0"]


# --- optimizers


def grouped(model, kind, **options):
    names = dict(model.named_parameters())
    plain = [p for n, p in names.items() if p.requires_grad and n.endswith("bias")]
    rest = [p for n, p in names.items() if p.requires_grad and not n.endswith("bias")]
    return kind([{"params": rest}, {"params": plain, "weight_decay": 0.0, "lr": 0.5}], **options)


def test_decay_and_kind_are_read_per_group(model):
    optimizer = grouped(model, torch.optim.AdamW, lr=0.25, eps=1e-8, weight_decay=0.01)
    found = adapter.optimizer_configuration(model, optimizer)
    assert (found["decay"]["twice.weight"], found["decay"]["twice.bias"]) == (0.01, 0.0)
    assert set(found["decay"]) == set(adapter.trainable(model))
    assert {k: v for k, v in found.items() if k != "decay"} == {
        "kind": "adamw",
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "amsgrad": False,
        "coupled": False,
    }


def test_adam_and_momentum_are_coupled(model):
    adam = torch.optim.Adam(model.parameters(), weight_decay=0.5)
    found = adapter.optimizer_configuration(model, adam)
    assert (found["kind"], found["coupled"], found["decay"]["twice.bias"]) == ("adam", True, 0.5)
    momentum = torch.optim.SGD(model.parameters(), 0.5, momentum=0.875, nesterov=True)
    found = adapter.optimizer_configuration(model, momentum)
    assert (found["kind"], found["momentum"], found["nesterov"]) == ("momentum", 0.875, True)
    plain = adapter.optimizer_configuration(model, torch.optim.SGD(model.parameters(), 0.5))
    assert set(plain) == {"kind", "coupled", "decay"}
    assert plain["kind"] == "sgd"


def test_adam_with_a_decoupled_decay_is_adamw(model):
    optimizer = torch.optim.Adam(model.parameters(), decoupled_weight_decay=True)
    found = adapter.optimizer_configuration(model, optimizer)
    assert (found["kind"], found["coupled"]) == ("adamw", False)


def test_a_setting_that_differs_between_groups_is_given_by_parameter(model):
    groups = [{"params": [model.twice.weight]}, {"params": [model.twice.bias], "eps": 1e-6}]
    found = adapter.optimizer_configuration(model, torch.optim.AdamW(groups))
    assert found["eps"] == {"twice.weight": 1e-8, "twice.bias": 1e-6}


def test_state_is_absent_before_the_first_update_and_named_after_it(model, batch):
    optimizer = torch.optim.AdamW(model.parameters())
    assert adapter.optimizer_state(model, optimizer) == {}
    adapter.backward(loss_of(model, batch))
    optimizer.step()
    state = adapter.optimizer_state(model, optimizer)["twice.weight"]
    gradient = adapter.gradients(model)["twice.weight"]
    assert set(state) == {"first_moment", "second_moment"}
    np.testing.assert_allclose(state["first_moment"], 0.1 * gradient, rtol=1e-5)


def test_momentum_is_a_state_and_its_lack_is_none(model, batch):
    adapter.backward(loss_of(model, batch))
    for momentum, kinds in ((0.9, [{"momentum"}]), (0.0, [])):
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=momentum)
        optimizer.step()
        states = adapter.optimizer_state(model, optimizer)
        assert [set(s) for n, s in states.items() if n == "twice.bias"] == kinds


def test_an_update_is_seen_before_its_rule_and_behind_the_clipping(model, batch):
    optimizer = grouped(model, torch.optim.SGD, lr=0.25)
    adapter.backward(loss_of(model, batch))
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    before, seen = adapter.parameters(model)["twice.weight"], []

    def note(applied):
        weights = adapter.parameters(model)["twice.weight"]
        seen.append((applied.rates, applied.gradients(), weights))

    with adapter.watch_updates(model, optimizer, note):
        optimizer.step()
    optimizer.step()
    rates, gradients, weights = seen[0]
    assert len(seen) == 1
    assert (rates["twice.weight"], rates["twice.bias"]) == (0.25, 0.5)
    assert "frozen" not in rates
    norm = np.sqrt(sum(float(np.square(g).sum()) for g in gradients.values()))
    assert norm == pytest.approx(1e-3, rel=1e-2)
    assert np.array_equal(weights, before)


def test_a_parameter_that_the_optimizer_lacks_does_not_reach_its_rule(model, batch):
    optimizer, seen = torch.optim.SGD([model.twice.bias], 0.1), []
    adapter.backward(loss_of(model, batch))
    with adapter.watch_updates(model, optimizer, lambda applied: seen.append(applied.gradients())):
        optimizer.step()
    assert [set(gradients) for gradients in seen] == [{"twice.bias"}]
