"""vutrace: a protocol tracing and dissection tool for vhost-user.

What a program may use is here (docs/python.md): `read`, `rows`, `objects`, `timeline` and `check`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vutrace.api import check, objects, read, rows, timeline

__version__ = "0.1.0"
__all__ = ["__version__", "check", "objects", "read", "rows", "timeline"]


def __getattr__(name: str) -> Any:
    """The functions of the API, when they are first asked for: the relay and `--help` must not load scapy."""
    if name in __all__:
        from vutrace import api

        return getattr(api, name)
    raise AttributeError(f"module 'vutrace' has no attribute '{name}'")
