"""Memory that tensors take while a step is computed, on any device and without memory for their values."""

import gc
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """The most bytes that tensors held at once, those that existed before included.

    As a GPU's allocator counts them, but for what operations take and give back within themselves. Sees what
    the thread does that entered it.
    """

    def __init__(
        self, device: str, besides: Iterable[Tensor] = (), *, counts_existing: bool = True
    ) -> None:
        """Look for the tensors that exist already; `device` is the type of those that count, which those
        `besides` do not.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.now = self.peak = 0
        self._seen = {_identity(tensor) for tensor in besides}
        for tensor in _existing_tensors():
            if counts_existing:
                self._add(tensor)
            else:
                self._seen.add(_identity(tensor))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, and count what is new; what another thread made is new when it is first read."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor):
                self._add(value)
        return result

    def _add(self, tensor: Tensor) -> None:
        if tensor.device.type != self.device:
            return
        storage, key = tensor.untyped_storage(), _identity(tensor)
        size = storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def _identity(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001  # torch has no other name for it


def _existing_tensors() -> Iterator[Tensor]:
    gc.collect()
    for found in gc.get_objects():
        if issubclass(type(found), Tensor):
            yield found
