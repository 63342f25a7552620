"""What makes a record cheap to read: there are millions of them."""

from collections.abc import Callable, Iterable
from dataclasses import fields, make_dataclass
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar, cast

T = TypeVar("T")
Values = TypeVar("Values", bound=tuple[Any, ...])


def quick(frozen: type[T]) -> Callable[..., T]:
    """A constructor of the frozen slots dataclass `frozen`, with every argument given, by position.

    A frozen dataclass sends every field through `object.__setattr__`, which is half of the time that reading
    a record takes. Its unfrozen twin has the same slots, so an object may change from one into the other.
    """

    def freeze(self: Any) -> None:
        self.__class__ = frozen

    names = [(field.name, field.type) for field in fields(cast("Any", frozen))]
    namespace = {"__post_init__": freeze}
    twin = make_dataclass(  # nobody ever sees one
        f"_{frozen.__name__}", names, namespace=namespace, repr=False, eq=False, match_args=False, slots=True
    )
    return cast("Callable[..., T]", twin)


def quick_replace(frozen: type[T]) -> Callable[..., T]:
    """`dataclasses.replace` for the frozen slots dataclass `frozen`, at a third of the cost."""
    names = [field.name for field in fields(cast("Any", frozen))]
    make, values_of = quick(frozen), attrgetter(*names)

    def replaced(value: T, **changes: Any) -> T:
        return make(*{**dict(zip(names, values_of(value), strict=True)), **changes}.values())

    return replaced


def quick_tuple(named: type[Values]) -> Callable[[Iterable[Any]], Values]:
    """`_make` of a NamedTuple without a call of Python's, for as many values as it has fields."""
    return partial(tuple.__new__, named)
