# SPDX-License-Identifier: Apache-2.0

"""How long a sample lasts, whatever is in it."""

from __future__ import annotations

from typing import Any, Tuple, Type, TypeVar

from . import abi
from ._memory import Blocks, Gone, Private, Unusable

_Self = TypeVar("_Self", bound="Held")

RELEASED = Gone("the sample was released")
WRITTEN = Gone("the sample was written: it belongs to the other side now")


class Held:
    """A block with a sample in it, in shared memory or in private.

    It holds its block until it is written, released, or the ``with`` block that it stands in ends. One that is simply
    forgotten goes back, too, with a ResourceWarning. Any use after that raises ValueError.
    """

    __slots__ = ("_blocks", "_at", "_word", "_quiet", "__weakref__")

    _value: Any = abi.union_sample_data

    def __init__(self, blocks: Blocks, source: Any, index: int = 0, quiet: bool = False) -> None:
        # The address moves out of source: at every moment just one of both holds it.
        self._blocks = blocks
        self._at: int = source[index]
        source[index] = 0
        self._word: int = (self._at - blocks.first) >> 2
        self._quiet = quiet

    @property
    def capacity(self) -> int:
        """How many values there is room for."""
        return self._blocks.capacity

    @property
    def released(self) -> bool:
        """Whether this sample was released or written, or its region closed: nothing but this can be asked any more."""
        return isinstance(self._blocks.bytes, Unusable)

    def release(self) -> None:
        """Give the sample back; a second time does nothing. BufferError if a view of its values is alive."""
        if self._at:
            at = self._at
            self._blocks.check_unviewed(at)
            self._give_up(RELEASED).put((at,))

    def _give_up(self, why: Gone) -> Blocks:
        blocks, self._blocks, self._at, self._word = self._blocks, why, 0, 0
        return blocks

    def _take_back(self, at: int, blocks: Blocks) -> None:
        self._blocks, self._at, self._word = blocks, at, (at - blocks.first) >> 2

    def _check_held(self) -> None:
        """ValueError for a sample that is gone."""
        self._blocks.bytes[0]

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.release()
        except BufferError:
            if exc[0] is None:  # else the traceback may hold the view; the finalizer will do
                raise
            self._quiet = True

    def __del__(self) -> None:
        if self._at:
            self._blocks.abandon(self._at, self._quiet)

    def copy(self: _Self) -> _Self:
        """A sample of the same content in private memory, to be kept and changed as long as one likes. It can be sent as
        the contents of another one: ``shm.alloc(copy)``."""
        return _from_content(type(self), self._content())

    def _content(self) -> bytes:
        """What a copy has of the block: head and values, without what means something in shared memory only."""
        raise NotImplementedError

    def __reduce__(self) -> Tuple[Any, ...]:
        return _from_content, (type(self), self._content())  # a pickle holds a copy


def _from_content(kind: Type[_Self], content: bytes) -> _Self:
    blocks = Private(content, kind._value)
    return kind(blocks, [blocks.first])
