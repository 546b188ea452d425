"""assert_aligned: live arrays of any framework."""

import numpy as np
import pytest

from modelparity import UsageError, assert_aligned
from modelparity.compare.live import tensor

X = np.linspace(-1, 1, 12).reshape(3, 4)


def test_arrays_mappings_and_files_are_compared(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert_aligned(candidate=X, reference=X.copy())
    assert_aligned(candidate={"a": X, "b": [X, X]}, reference={"a": X, "b": (X, X)})
    assert_aligned(candidate=X, reference=tmp_path / "x.npy")
    assert_aligned(candidate=1.0, reference=1.0)
    assert_aligned(candidate=memoryview(X), reference=X)


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [(X, X * 2), (X, X[:2]), (X, X.astype(np.float32)), ({}, {}), ({"a": X}, {"b": X})],
)
def test_what_is_not_aligned_raises_with_a_table(candidate, reference):
    with pytest.raises(AssertionError, match=r"worst/limit|inconclusive"):
        assert_aligned(candidate=candidate, reference=reference)


def test_tolerances_and_names_are_those_of_the_command():
    assert_aligned(candidate=X * 1.01, reference=X, tolerance="rtol=0.1")
    assert_aligned(candidate={"k": X.T}, reference={"w": X}, rename="w -> k", transpose="w")
    assert_aligned(candidate=X.astype(np.float32), reference=X.astype(np.float32), truth=X)


def test_roles_are_keywords():
    with pytest.raises(TypeError):
        assert_aligned(X, X)


def test_lists_of_numbers_are_one_array():
    assert_aligned(candidate=X.tolist(), reference=X)
    assert_aligned(candidate={"a": [[1, 2], (3, 4)]}, reference={"a": np.array([[1, 2], [3, 4]])})
    with pytest.raises(AssertionError, match="dtype float64 against int64"):
        assert_aligned(candidate=[1.0, 2.0], reference=[1, 2])


def test_two_of_one_name_are_refused():
    with pytest.raises(UsageError, match=r"a\.b stands there twice"):
        assert_aligned(candidate={"a.b": X, "a": {"b": X}}, reference=X)


class OfAFramework:
    """An array as a framework hands it out that has neither DLPack nor `float`."""

    dtype = "<dtype: 'bfloat16'>"

    def __array__(self, dtype=None, copy=None):
        return X.astype(np.float32)


def test_a_narrow_dtype_is_known_however_it_is_written():
    assert tensor(OfAFramework()).dtype == "bfloat16"


@pytest.mark.parametrize("value", ["text", None, object(), np.longdouble(1), [[1.0], [1.0, 2.0]]])
def test_what_is_no_array_is_refused(value):
    with pytest.raises(UsageError):
        tensor(value, "x")


def test_tensors_of_pytorch_are_taken_as_they_are():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = torch.tensor(X, requires_grad=True)
    assert_aligned(candidate=x, reference=X)
    assert_aligned(candidate=x.T, reference=X.T)
    turned = torch.complex(x.detach(), x.detach()).conj()
    assert_aligned(candidate={"a": turned, "b": turned.imag}, reference={"a": X - 1j * X, "b": -X})
    half = x.detach().to(torch.bfloat16)
    assert tensor(half).dtype == "bfloat16"
    assert_aligned(candidate=half, reference=half)
    with pytest.raises(AssertionError, match="dtype bfloat16 against float32"):
        assert_aligned(candidate=half, reference=half.float())


def test_tensors_of_paddle_are_taken_as_they_are():
    paddle = pytest.importorskip("paddle", reason="PaddlePaddle is not installed")
    x = paddle.to_tensor(X, stop_gradient=False)
    assert_aligned(candidate=x, reference=X)
    half = x.astype("bfloat16")
    assert tensor(half).dtype == "bfloat16"
    assert_aligned(candidate=half, reference=half)
