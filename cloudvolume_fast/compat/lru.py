# SPDX-License-Identifier: BSD-3-Clause
"""A dictionary that forgets what was not used for longest, and the list below it, under upstream's names."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from cloudvolume_fast.errors import InvalidArgumentError

__all__ = ["LRU", "DoublyLinkedList", "DoublyLinkedListIterator", "ListNode", "getsizeof"]

_REQUIRED = object()


def getsizeof(val: Any) -> int:
    """Return the bytes that a value takes, those of the elements of lists and tuples included."""
    nbytes = sys.getsizeof(val)
    if isinstance(val, (list, tuple)):
        nbytes += sum(getsizeof(element) for element in val)
    elif hasattr(val, "nbytes") and val.base is not None:  # an array that owns no voxels
        nbytes += int(val.nbytes)
    return nbytes


class ListNode:
    """An element of a `DoublyLinkedList`."""

    __slots__ = ("next", "prev", "val")

    def __init__(self, val: Any, next: ListNode | None, prev: ListNode | None) -> None:
        self.val = val
        self.next = next
        self.prev = prev

    def __iter__(self) -> Iterator[ListNode]:
        return _Nodes(self, reverse=False)

    def clone(self) -> ListNode:
        """Return another node with the same value and neighbours."""
        return ListNode(self.val, self.next, self.prev)


class DoublyLinkedListIterator:
    """Walks over the nodes from one on.

    Parameters
    ----------
    node : ListNode or None
    reverse : bool
        Towards the head.
    """

    def __init__(self, node: ListNode | None, reverse: bool = False) -> None:
        self.node = node
        self.reverse = reverse

    def __iter__(self) -> DoublyLinkedListIterator:
        return self

    def __next__(self) -> ListNode:
        node = self.node
        if node is None:
            raise StopIteration
        self.node = node.prev if self.reverse else node.next
        return node

    def next(self) -> ListNode:
        """Return the next node; raises StopIteration behind the last."""
        return self.__next__()


_Nodes = DoublyLinkedListIterator


class DoublyLinkedList:
    """A list whose elements can be moved and removed in constant time."""

    def __init__(self) -> None:
        self.head: ListNode | None = None
        self.tail: ListNode | None = None
        self.size = 0

    @classmethod
    def create(cls, lst: Iterable[Any]) -> DoublyLinkedList:
        """Return a list of some values."""
        out = cls()
        for value in lst:
            out.append(value)
        return out

    def is_empty(self) -> bool:
        """Say whether there is no element."""
        return self.size == 0

    def peek_head(self) -> Any:
        """Return the first value, None if there is none."""
        return None if self.head is None else self.head.val

    def peek_tail(self) -> Any:
        """Return the last value, None if there is none."""
        return None if self.tail is None else self.tail.val

    def prepend(self, val: Any) -> DoublyLinkedList:
        """Add a value in front; returns the list."""
        self._link(ListNode(val, None, None))
        return self

    def append(self, val: Any) -> DoublyLinkedList:
        """Add a value behind; returns the list."""
        node = ListNode(val, None, self.tail)
        if self.tail is None:
            self.head = node
        else:
            self.tail.next = node
        self.tail = node
        self.size += 1
        return self

    def _link(self, node: ListNode) -> None:
        node.prev, node.next = None, self.head
        if self.head is None:
            self.tail = node
        else:
            self.head.prev = node
        self.head = node
        self.size += 1

    def delete(self, node: ListNode) -> ListNode:
        """Remove a node; returns it."""
        if node.prev is None:
            self.head = node.next
        else:
            node.prev.next = node.next
        if node.next is None:
            self.tail = node.prev
        else:
            node.next.prev = node.prev
        self.size -= 1
        return node

    def delete_tail(self) -> Any:
        """Remove the last node; returns its value, None if there is none."""
        return None if self.tail is None else self.delete(self.tail).val

    def promote_to_head(self, node: ListNode) -> None:
        """Move a node to the front."""
        if node is not self.head:
            self.delete(node)
            self._link(node)

    def tolist(self) -> list[Any]:
        """Return the values."""
        return [node.val for node in self]

    def __iter__(self) -> Iterator[ListNode]:
        return _Nodes(self.head)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.tolist()!r})"


class LRU:
    """A dictionary that drops what was used least recently.

    Parameters
    ----------
    size : int
        Most entries, or bytes of keys and values; 0 for none.
    size_in_bytes : bool

    Notes
    -----
    Safe to use from several threads.  `vol.image.lru` is another one, of the core.
    """

    def __init__(self, size: int = 100, size_in_bytes: bool = False) -> None:
        self.size = size
        self.size_in_bytes = size_in_bytes
        self.nbytes = 0
        self.queue = DoublyLinkedList()
        self.hash: dict[Any, ListNode] = {}
        self.lock = threading.RLock()

    def __len__(self) -> int:
        return self.queue.size

    def __contains__(self, key: object) -> bool:
        return key in self.hash

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def keys(self) -> list[Any]:
        """Return the keys, in the order in which they came."""
        with self.lock:
            return list(self.hash)

    def values(self) -> list[Any]:
        """Return the values, in the order in which their keys came."""
        with self.lock:
            return [node.val[1] for node in self.hash.values()]

    def items(self) -> list[tuple[Any, Any]]:
        """Return pairs of key and value."""
        with self.lock:
            return [(key, node.val[1]) for key, node in self.hash.items()]

    def is_oversized(self) -> bool:
        """Say whether there is more than the limit."""
        return (self.nbytes if self.size_in_bytes else self.queue.size) > self.size

    def clear(self) -> None:
        """Remove all entries."""
        with self.lock:
            self.queue = DoublyLinkedList()
            self.hash.clear()
            self.nbytes = 0

    def resize(self, new_size: int) -> None:
        """Change the limit, dropping what is above it.

        Raises
        ------
        InvalidArgumentError
            The limit is negative.
        """
        if new_size < 0:
            raise InvalidArgumentError(
                f"new_size: expected at least 0, found {new_size}", key="new_size", found=new_size
            )
        with self.lock:
            self.size = new_size
            self._shrink()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value and count it as used; `default` if there is none."""
        with self.lock:
            node = self.hash.get(key)
            if node is None:
                return default
            self.queue.promote_to_head(node)
            return node.val[1]

    def set(self, key: Any, val: Any) -> None:
        """Add or replace a value."""
        with self.lock:
            if key in self.hash:
                self._remove(key)
            self.queue.prepend((key, val))
            head = self.queue.head
            if head is not None:
                self.hash[key] = head
            self.nbytes += getsizeof(key) + getsizeof(val)
            self._shrink()

    def pop(self, key: Any, *args: Any) -> Any:
        """Remove a key and return its value, else the default if one is given.

        Raises
        ------
        KeyError
        """
        with self.lock:
            if key not in self.hash and args:
                return args[0]
            return self._remove(key)

    def delete(self, key: Any) -> None:
        """Remove a key.

        Raises
        ------
        KeyError
        """
        with self.lock:
            self._remove(key)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, _REQUIRED)
        if value is _REQUIRED:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Any, val: Any) -> None:
        self.set(key, val)

    def __delitem__(self, key: Any) -> None:
        self.delete(key)

    def _remove(self, key: Any) -> Any:
        node = self.hash.pop(key)
        self.queue.delete(node)
        self.nbytes -= getsizeof(key) + getsizeof(node.val[1])
        return node.val[1]

    def _shrink(self) -> None:
        while self.is_oversized() and self.queue.tail is not None:
            self._remove(self.queue.tail.val[0])

    def __getstate__(self) -> dict[str, Any]:
        with self.lock:
            oldest_first = [node.val for node in DoublyLinkedListIterator(self.queue.tail, True)]
        return {"size": self.size, "size_in_bytes": self.size_in_bytes, "items": oldest_first}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LRU.__init__(self, state["size"], state["size_in_bytes"])
        for key, value in state["items"]:
            self.set(key, value)
