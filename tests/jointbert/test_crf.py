"""Both sides' CRFs against the package pytorch-crf: likelihood, gradients and decoding."""

from typing import Any

import numpy as np
import pytest
from frameworks import import_paddle

torch = pytest.importorskip("torch", reason="pytorch-crf needs PyTorch")
torchcrf = pytest.importorskip("torchcrf", reason="pytorch-crf is not installed")
paddle = import_paddle()

from jointbert.in_paddle import crf as in_paddle  # noqa: E402
from jointbert.in_torch import crf as in_torch  # noqa: E402

LABELS, LENGTHS = 5, (9, 1, 4, 9)
NAMES = ("start_transitions", "end_transitions", "transitions")

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def arrays() -> dict[str, Array]:
    generator = np.random.default_rng(0)
    mask = np.array([[int(t < length) for t in range(max(LENGTHS))] for length in LENGTHS])
    found = {name: generator.normal(size=LABELS) for name in NAMES[:2]}
    found["transitions"] = generator.normal(size=(LABELS, LABELS))
    found["emissions"] = generator.normal(size=(*mask.shape, LABELS))
    found["tags"], found["mask"] = generator.integers(0, LABELS, mask.shape) * mask, mask
    return found


def of_package(arrays: dict[str, Array]) -> dict[str, Array]:
    crf = torchcrf.CRF(LABELS, batch_first=True).double()
    with torch.no_grad():
        for name in NAMES:
            getattr(crf, name).copy_(torch.tensor(arrays[name]))
    emissions = torch.tensor(arrays["emissions"], requires_grad=True)
    mask = torch.tensor(arrays["mask"], dtype=torch.uint8).bool()
    losses = -crf(emissions, torch.tensor(arrays["tags"]), mask, reduction="none")
    losses.sum().backward()
    paths = np.zeros_like(arrays["tags"])
    for row, path in enumerate(crf.decode(emissions, mask)):
        paths[row, : len(path)] = path
    found = {name: getattr(crf, name).grad.numpy() for name in NAMES}
    return {
        **found,
        "losses": losses.detach().numpy(),
        "emissions": emissions.grad.numpy(),
        "paths": paths,
    }


def of_torch(arrays: dict[str, Array]) -> dict[str, Array]:
    crf = in_torch.CRF(LABELS).double()
    with torch.no_grad():
        for name in NAMES:
            getattr(crf, name).copy_(torch.tensor(arrays[name]))
    emissions = torch.tensor(arrays["emissions"], requires_grad=True)
    tags, mask = torch.tensor(arrays["tags"]), torch.tensor(arrays["mask"])
    losses = crf(emissions, tags, mask)
    losses.sum().backward()
    found = {name: getattr(crf, name).grad.numpy() for name in NAMES}
    return {
        **found,
        "losses": losses.detach().numpy(),
        "emissions": emissions.grad.numpy(),
        "paths": crf.decode(emissions.detach(), mask).numpy(),
    }


def of_paddle(arrays: dict[str, Array]) -> dict[str, Array]:
    crf = in_paddle.CRF(LABELS)
    crf.to(dtype="float64")
    for name in NAMES:
        getattr(crf, name).set_value(arrays[name])
    emissions = paddle.to_tensor(arrays["emissions"], stop_gradient=False)
    tags, mask = paddle.to_tensor(arrays["tags"]), paddle.to_tensor(arrays["mask"])
    losses = crf(emissions, tags, mask)
    losses.sum().backward()
    found = {name: getattr(crf, name).grad.numpy() for name in NAMES}
    return {
        **found,
        "losses": losses.numpy(),
        "emissions": emissions.grad.numpy(),
        "paths": crf.decode(emissions.detach(), mask).numpy(),
    }


@pytest.fixture(scope="module")
def package(arrays: dict[str, Array]) -> dict[str, Array]:
    return of_package(arrays)


@pytest.fixture(scope="module", params=[of_torch, of_paddle], ids=["torch", "paddle"])
def own(request: pytest.FixtureRequest, arrays: dict[str, Array]) -> dict[str, Array]:
    found: dict[str, Array] = request.param(arrays)
    return found


def test_the_likelihood_is_that_of_pytorch_crf(own: dict[str, Array], package: dict[str, Array]):
    np.testing.assert_allclose(own["losses"], package["losses"], rtol=1e-13)


@pytest.mark.parametrize("name", [*NAMES, "emissions"])
def test_the_gradient_is_that_of_pytorch_crf(
    own: dict[str, Array], package: dict[str, Array], name: str
):
    np.testing.assert_allclose(own[name], package[name], rtol=1e-12, atol=1e-13)


def test_the_decoded_labels_are_those_of_pytorch_crf(
    own: dict[str, Array], package: dict[str, Array]
):
    assert np.array_equal(own["paths"], package["paths"])
