"""Values of other libraries' arrays as NumPy's: torch's tensors of every layout and type, and `__dlpack__`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError
from finecal.io.outside import reason

ASKED = (TypeError, ValueError, RuntimeError, BufferError, NotImplementedError)


def of_tensor(tensor: Any, name: str, where: str = "") -> npt.NDArray[Any]:
    """Return the values of a tensor of torch; types that NumPy does not know (bfloat16, float8) become float32.

    Raises
    ------
    UserError
        If it has no values, as one on the device `meta`.
    """
    try:
        tensor = tensor.detach()
        if str(tensor.layout) != "torch.strided":
            tensor = tensor.to_dense()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        tensor = tensor.cpu().resolve_conj().resolve_neg()
        if "float8" in str(tensor.dtype) or "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    except ASKED as error:
        raise UserError(f"{name} is a tensor without values that can be read ({reason(error)})", where=where) from error


def of_object(given: Any, name: str) -> npt.NDArray[Any]:
    """Return whatever else has values as an array, by `__array__` or `__dlpack__`.

    Raises
    ------
    UserError
        If it has none, or they are on another device; or rows differ in length.
    """
    if isinstance(given, (set, frozenset)):
        raise UserError(f"{name} is a set, which has no order", why="One value per row is needed")
    try:
        if hasattr(given, "__dlpack__") and not hasattr(given, "__array__"):
            return np.asarray(np.from_dlpack(given))
        return np.asarray(given)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise UserError(f"{name} has rows of different lengths") from error
        raise UserError(f"{name} cannot be read as an array ({reason(error)})") from error
    except ASKED as error:
        raise UserError(
            f"{name} cannot be read as an array ({reason(error)})", hint="Bring it as an array of NumPy"
        ) from error
