"""Signatures and documentation of the methods that are made of plans."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def like(plan: Callable[..., Any], returns: str = "{}") -> Callable[[F], F]:
    """Copy the documentation and the signature of a plan to a method.

    returns is the method's return type; {} stands for the type of the plan's result, or
    of the items that it emits.
    """

    def decorate(method: F) -> F:
        signature = inspect.signature(plan)
        _, *rest = signature.parameters.values()
        ends = str(signature.return_annotation)
        given = re.sub(r"^\w+\[(.*?)(, None)?\]$", r"\1", ends)
        client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        functools.update_wrapper(method, plan)
        vars(method)["__signature__"] = signature.replace(
            parameters=[client, *rest], return_annotation=returns.format(given)
        )
        return method

    return decorate
