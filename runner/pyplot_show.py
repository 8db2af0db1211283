"""Makes pyplot's show() display the open figures of a cell and close them.

Otherwise it does nothing without a screen, and the next chart of the cell would be
drawn over the one before it.
"""

import sys
from _frozen_importlib_external import PathFinder as _PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_NAME = "matplotlib.pyplot"
_modules = sys.modules
_find_spec = _PathFinder.find_spec


def install(show: "Callable[[Any], object]") -> None:
    """Call show for each open figure, in their order, when pyplot.show() is called.

    pyplot may be imported already, or later.
    """
    if pyplot := _modules.get(_NAME):
        _replace(pyplot, show)
    else:
        sys.meta_path.insert(0, _Finder(show))


def _replace(pyplot: "Any", show: "Callable[[Any], object]") -> None:
    original = pyplot.show

    def show_and_close(*args: object, **kwargs: object) -> object:
        """Display all open figures, and close them."""
        returned = original(*args, **kwargs)
        for number in pyplot.get_fignums():
            show(pyplot.figure(number))
        pyplot.close("all")
        return returned

    show_and_close.__name__ = show_and_close.__qualname__ = "show"
    pyplot.show = show_and_close


class _Finder:
    """Finds pyplot where Python does, and changes it once it is imported."""

    def __init__(self, show: "Callable[[Any], object]") -> None:
        self._show = show

    def find_spec(
        self, name: str, path: "Any" = None, _target: object = None
    ) -> "ModuleSpec | None":
        """Return the spec of pyplot, None for other modules."""
        if name != _NAME:
            return None
        spec: ModuleSpec | None = _find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._show)  # type: ignore[assignment]
        return spec


class _Loader:
    """Loads pyplot by its own loader, then changes it."""

    def __init__(self, loader: "Any", show: "Callable[[Any], object]") -> None:
        self._loader, self._show = loader, show

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        """Return what the loader makes; None for Python's default."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: "Any") -> None:
        """Run the module's code."""
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _replace(module, self._show)
