"""Frozen dataclasses made at a fifth of the cost, for those of which there are as many as records.

A frozen dataclass sends every field through `object.__setattr__`, which is half of the time that
reading a record takes. Its unfrozen twin has the same slots, so an object may change from one into the other.
"""

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


def quick(frozen: type[T]) -> Callable[..., T]:
    """A constructor of the frozen slots dataclass `frozen`, with every argument given, by position."""

    def freeze(self: Any) -> None:
        self.__class__ = frozen

    names = [(field.name, field.type) for field in fields(cast("Any", frozen))]
    twin = make_dataclass(f"_{frozen.__name__}", names, slots=True, namespace={"__post_init__": freeze})
    return cast("Callable[..., T]", twin)
