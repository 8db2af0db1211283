"""Hides the methods of sockets that the filter refuses.

Libraries look whether they are there: asyncio (from Python 3.12 on) then uses send(),
and multiprocessing (from 3.14 on) spawns instead of asking a fork server. Otherwise
they would try, and fail.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_REFUSED = ("recvmsg", "recvmsg_into", "sendmsg")


class _Absent:
    """An attribute that is not there, for instances and for the class."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> "NoReturn":
        raise AttributeError(f"sockets have no {self._name}() in the sandbox")


class _Finder:
    """Finds `socket` as Python would, and hides its methods once it is loaded."""

    @classmethod
    def find_spec(cls, name: str, path: object, _target: object = None) -> "Any":
        if name != "socket":
            return None
        sys.meta_path.remove(cls)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path)  # type: ignore[arg-type]
            if spec is not None:
                break
        else:
            return None
        load = spec.loader.exec_module  # type: ignore[union-attr]

        def exec_module(module: "Any") -> None:
            load(module)
            _hide(module)

        spec.loader.exec_module = exec_module  # type: ignore[union-attr,method-assign]
        return spec


def hide_refused() -> None:
    """Hide the methods, now or when `socket` is imported: that costs no start-up."""
    if module := sys.modules.get("socket"):
        _hide(module)
    else:
        sys.meta_path.insert(0, _Finder)


def _hide(module: "Any") -> None:
    for name in _REFUSED:
        setattr(module.socket, name, _Absent(name))
