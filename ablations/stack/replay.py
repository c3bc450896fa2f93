"""A step's arithmetic as a flat list of operations, for shapes that come again and again."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

OFTEN = 10  # times: writing a list down takes a second or two, as long as some dozens of small steps
LISTS = 4  # of different shapes
MOST = 4096  # shapes that are counted: with so many none comes again and again

Function = Callable[..., tuple[Tensor, Sequence[Tensor]]]


class Replay:
    """Calls a function of tensors, and knows it by heart where its shapes are always the same.

    A list holds what the function did when it was written down, down to the products of its backward pass; what is
    spared is finding that out anew in every step (module calls, vmap, autograd). So the function must do the same for
    all inputs of one shape, and draw no random numbers. The results are the same to the last bit.
    """

    def __init__(self, function: Function):
        self._function = function
        self._seen: Counter[Hashable] = Counter()
        self._lists: dict[Hashable, Function] = {}

    def __call__(self, shapes: Hashable, *inputs: Any) -> tuple[Tensor, Sequence[Tensor]]:
        """What the function makes of the inputs, whose shapes follow from `shapes`."""
        if shapes not in self._lists:
            if len(self._lists) < LISTS and len(self._seen) < MOST:
                self._seen[shapes] += 1
            if self._seen[shapes] < OFTEN:
                return self._function(*inputs)
            from torch.fx.experimental.proxy_tensor import make_fx  # takes a second to import

            self._lists[shapes] = make_fx(lambda *own: self._function(*own))(*inputs)
        with torch.no_grad():
            return self._lists[shapes](*inputs)
