# SPDX-License-Identifier: BSD-3-Clause
"""Attributes of a volume that stand for something of its settings or of its metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing import Self

    from cloudvolume_fast.volume import Volume

T = TypeVar("T")


class Derived(Generic[T]):
    """An attribute that is worked out whenever it is read, and cannot be set.

    Parameters
    ----------
    get : callable
        Given the volume.
    doc : str
    """

    def __init__(self, get: Callable[[Volume], T], doc: str) -> None:
        self._get = get
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, volume: None, owner: type) -> Self: ...
    @overload
    def __get__(self, volume: Volume, owner: type) -> T: ...
    def __get__(self, volume: Volume | None, owner: type) -> Self | T:
        return self if volume is None else self._get(volume)

    def __set__(self, volume: Volume, value: Any) -> None:  # Any: it is refused
        raise AttributeError(f"{type(volume).__name__}.{self._name} cannot be set")


class Setting(Generic[T]):
    """A setting of the volume's, under its name in `VolumeConfig`.

    Parameters
    ----------
    check : callable
        Makes the value that is kept of the one that is given, or raises.
    doc : str
    """

    def __init__(self, check: Callable[[Any], T], doc: str) -> None:  # Any: what a caller assigns
        self._check = check
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, volume: None, owner: type) -> Self: ...
    @overload
    def __get__(self, volume: Volume, owner: type) -> T: ...
    def __get__(self, volume: Volume | None, owner: type) -> Self | T:
        if volume is None:
            return self
        value: T = getattr(volume.config, self._name)
        return value

    def __set__(self, volume: Volume, value: Any) -> None:  # Any: as above
        setattr(volume.config, self._name, self._check(value))
