"""Does what Python does at its own exit, before the outputs are collected.

The atexit handlers run. Then the objects of the script's modules are released: archives
and files are closed, `__del__` and weakref.finalize run. Errors go to stderr, as Python
prints them. Threads are not waited for, and child processes only if a program ends.
"""

import atexit
import gc
import sys
from weakref import ref

from runner import outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.script import Script

# Bound here: the script may have replaced them.
_run_handlers, _unregister = atexit._run_exitfuncs, atexit.unregister
_collect = gc.collect
_modules = sys.modules

# Types of values that have nothing to finish.
_NOTHING_TO_FINISH = {
    *(type(one) for one in (None, True, 0, 0.0, 0j, "", b"", range(0), ..., len)),
    *(type(one) for one in (sys, lambda: 0, vars(type)["mro"], vars(type)["__name__"])),
    *(staticmethod, classmethod, property),
}
# The most items of a container that are checked.
_MAX_ITEMS = 1000


class _Probe:
    """Lies in a namespace and refers to it, to show whether it was released."""

    def __init__(self, namespace: dict[str, object]) -> None:
        self.namespace = namespace


def run(script: "Script") -> None:
    """Run the handlers and release the script's modules. Raises what they raise."""
    if script.namespace:
        _silence_threads()
        if not script.is_program:
            _detach_children()
        _run_handlers()
        _release(script)


def _silence_threads() -> None:
    """Keep threads, which lose their modules, from printing the errors of that."""
    if len(sys._current_frames()) > 1 and (threading := _modules.get("threading")):
        threading.excepthook = lambda _: None  # type: ignore[attr-defined]


def _detach_children() -> None:
    """Remove multiprocessing's own handler, which would wait for child processes."""
    if util := _modules.get("multiprocessing.util"):
        _unregister(util._exit_function)


def _release(script: "Script") -> None:
    """Release what the script's modules hold.

    First they become garbage, so that finalizers find their modules complete. Modules
    that something still refers to are emptied then, as Python does.
    """
    probes = []
    module_name = script.module_name
    namespaces = [script.namespace, *_remove_modules_below(script.home, module_name)]
    if all(_has_nothing_to_finish(one, module_name) for one in namespaces):
        return  # the usual case; a collection takes a moment
    for namespace in namespaces:
        probe = _Probe(namespace)
        namespace["__cellblock__"] = probe
        probes.append(ref(probe))
    script.namespace = {}
    del namespaces, namespace, probe
    for name in (module_name, "__main__"):
        _modules.pop(name, None)
    # Text held back in front of an archive, which may be closed first.
    outputs.flush_files()
    _collect()
    for reference in probes:
        if probe := reference():  # type: ignore[assignment]
            _empty(probe.namespace)
            del probe
    _collect()


def _has_nothing_to_finish(namespace: "Mapping[str, object]", module_name: str) -> bool:
    """Report whether no value of the namespace could have something to finish."""
    value: Any
    for name, value in [*namespace.items()]:
        kind = type(value)
        if kind in _NOTHING_TO_FINISH or name in (
            "__loader__",
            "__spec__",
            "__builtins__",
        ):
            continue
        if kind is type:
            # Classes of other modules outlive the script.
            if value.__module__ == module_name and not _has_nothing_to_finish(
                vars(value), module_name
            ):
                return False
        elif kind in (list, tuple, set, frozenset, dict):
            items = value.values() if kind is dict else value
            if len(items) > _MAX_ITEMS or any(
                type(one) not in _NOTHING_TO_FINISH for one in items
            ):
                return False
        else:
            return False
    return True


def _remove_modules_below(home: str, module_name: str) -> list[dict[str, object]]:
    """Remove the modules of the script's folder from sys.modules; return them."""
    found = []
    names = []
    # Only those imported after the script: reading the others copies their pages.
    for name in reversed(_modules):
        if name == module_name:
            break
        names.append(name)
    for name in names:
        module = _modules[name]
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(home + "/"):
            found.append(vars(_modules.pop(name)))
    return found


def _empty(namespace: dict[str, object]) -> None:
    """Set all names to None, those with one leading underscore first."""
    for first in (True, False):
        for name in [*namespace]:
            private = name.startswith("_") and not name.startswith("__")
            if private == first and name != "__builtins__":
                namespace[name] = None
