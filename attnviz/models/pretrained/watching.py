"""Every softmax of a run, and every batch of products, whatever code a model computes them with."""

from collections.abc import Callable
from typing import Any

import torch
from msgspec import Struct, field
from msgspec.structs import replace
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SOFTMAX = torch.ops.aten._softmax
_PRODUCTS = torch.ops.aten.bmm, torch.ops.aten.baddbmm


class Softmax(Struct, frozen=True, eq=False):
    """One softmax: the scores that it was given, and what it made of them."""

    given: Tensor
    made: Tensor


class Product(Struct, frozen=True, eq=False):
    """The products of one matrix each on the left [n, rows, inner] and on the right [n, inner, columns].

    It is the `number`-th of its run. What is `made` may hold something that was added to them at once.
    """

    number: int
    left: Tensor
    right: Tensor
    made: Tensor


See = Callable[[Softmax | Product], None]


class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, `see` is told of every softmax and product, in their order.

    It stands below torch's functions, where `matmul`, `@`, `einsum` and the like have all become batches of products.
    What stands on the left of the product with the number `silenced` is put to 0.
    """

    def __init__(self, see: See, silenced: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._see = see
        self._silenced = silenced
        self._products = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, or the operations that it consists of."""
        kwargs = kwargs or {}
        if func.overloadpacket is _SOFTMAX:
            made = func(*args, **kwargs)
            self._see(Softmax(args[0], made))
            return made
        if func.overloadpacket in _PRODUCTS:
            return self._product(func, args, kwargs)
        with self:  # inference mode leaves operations whole that consist of others
            made = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if made is NotImplemented else made

    def _product(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        *added, left, right = args
        number, self._products = self._products, self._products + 1
        if number == self._silenced:
            left = torch.zeros_like(left)
        made: Tensor = func(*added, left, right, **kwargs)
        self._see(Product(number, left, right, made))
        return made


class Around(Struct):
    """Keeps one softmax of a run by its number, the products that stand between it and the one before, and those after.

    Nothing else is kept, so that a long run takes no more memory.
    """

    number: int
    softmax: Softmax | None = None
    before: list[Product] = field(default_factory=list)
    after: list[Product] = field(default_factory=list)
    _count: int = 0

    def see(self, step: Softmax | Product) -> None:
        """Take note of a step of the run."""
        if isinstance(step, Product):
            if self._count <= self.number:
                self.before.append(step)
            elif self._count == self.number + 1:
                self.after.append(replace(step, made=step.made.clone()))  # some models add to it in its place
            return
        if self._count < self.number:
            self.before.clear()
        elif self._count == self.number:
            self.softmax = step
        self._count += 1
