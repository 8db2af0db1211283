"""Asks a value for its representations by media type, by the rules of IPython.

These are the methods `_repr_mimebundle_`, `_repr_html_` and the like. The plain text is
plain_text.py's.
"""

from runner import failure, suggestions, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

PLAIN = "text/plain"
# The methods that return one representation, and what they may return.
_METHODS: "tuple[tuple[str, str, tuple[type, ...]], ...]" = (
    ("text/html", "_repr_html_", (str,)),
    ("text/markdown", "_repr_markdown_", (str,)),
    ("image/svg+xml", "_repr_svg_", (str,)),
    ("image/png", "_repr_png_", (bytes, str)),
    ("application/pdf", "_repr_pdf_", (bytes, str)),
    ("image/jpeg", "_repr_jpeg_", (bytes, str)),
    ("text/latex", "_repr_latex_", (str,)),
    ("application/json", "_repr_json_", (dict, list)),
    ("application/javascript", "_repr_javascript_", (str,)),
)
# A value that has an attribute of this name claims to have all.
_CANARY = "_ipython_canary_method_should_not_exist_"
_MESSAGE_BYTES = 512

_method_type = type(failure.message.__get__(failure))


class Selection:
    """The media types that display() was asked to include, or to leave out."""

    def __init__(
        self,
        include: "Iterable[str] | None" = None,
        exclude: "Iterable[str] | None" = None,
        is_raw: bool = False,
    ) -> None:
        """Take all types, unless include or exclude is not empty.

        is_raw means that the value is a mapping from types to representations.
        """
        self.include = tuple(include) if include else None
        self.exclude = tuple(exclude) if exclude else None
        self.is_raw = is_raw

    def takes(self, kind: str) -> bool:
        """Report whether a type was asked for."""
        if self.include is not None and kind not in self.include:
            return False
        return self.exclude is None or kind not in self.exclude


def shows_itself(value: object, selection: Selection, problems: list[str]) -> bool:
    """Let a value with `_ipython_display_` show itself; report whether it did."""
    method = None if selection.is_raw else _method(value, "_ipython_display_")
    if method is None:
        return False
    try:
        method()
    except NotImplementedError:
        return False
    except Exception as error:
        problems.append(raised("_ipython_display_", error))
    return True


def of_value(
    value: object, selection: Selection, problems: list[str]
) -> "dict[str, Any]":
    """Return what the value's methods return, by media type.

    What does not work is described in problems.
    """
    if selection.is_raw:
        return _of_mapping("the argument of display()", value, selection, problems)
    found = _from_mimebundle(value, selection, problems)
    for kind, name, types in _METHODS:
        if kind in found or not selection.takes(kind):
            continue
        method = _method(value, name)
        if method is None:
            continue
        returned = _call(name, method, problems)
        if returned is None:
            continue
        if issubclass(type(returned), types):
            found[kind] = returned
        else:
            wanted = " or ".join(one.__name__ for one in types)
            problems.append(f"{name} returned {_name(returned)}, not {wanted}")
    return found


def raised(name: str, error: BaseException) -> str:
    """Describe what a method raised."""
    return f"{name} raised {text.shorten(failure.message(error), _MESSAGE_BYTES)}"


def _from_mimebundle(
    value: object, selection: Selection, problems: list[str]
) -> "dict[str, Any]":
    name = "_repr_mimebundle_"
    method = _method(value, name)
    if method is None:
        return {}

    def call() -> object:
        return method(include=selection.include, exclude=selection.exclude)

    returned = _call(name, call, problems)
    if returned is None:
        return {}
    return _of_mapping(f"what {name} returned", returned, selection, problems)


def _of_mapping(
    what: str, mapping: "Any", selection: Selection, problems: list[str]
) -> "dict[str, Any]":
    if not issubclass(type(mapping), dict):
        problems.append(f"{what} is {_name(mapping)}, not dict")
        return {}
    return {
        str.__str__(kind): value
        for kind, value in dict.items(mapping)
        if issubclass(type(kind), str) and selection.takes(kind) and value is not None
    }


def _call(name: str, method: "Callable[[], Any]", problems: list[str]) -> "Any":
    """Call a method; return None if it has nothing. Leaves metadata out."""
    try:
        returned = method()
    except NotImplementedError:
        return None
    except Exception as error:
        problems.append(raised(name, error))
        return None
    if type(returned) is tuple and len(returned) == 2:
        return returned[0]
    return returned


def _name(value: object) -> str:
    return suggestions.for_type(type(value))[0]


def _method(value: object, name: str) -> "Any":
    """Return a method of the value; None if it has none, or claims to have any."""
    try:
        if getattr(value, _CANARY, None) is not None:
            return None
        method = getattr(value, name, None)
        # Of a class, only its class methods.
        if issubclass(type(value), type) and type(method) is not _method_type:
            return None
        return method if callable(method) else None
    except Exception:
        return None
