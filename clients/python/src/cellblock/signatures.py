"""Signatures and documentation of the methods that are made of plans."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def with_signature_of(
    plan: Callable[..., Any], returns: str = "{}"
) -> Callable[[F], F]:
    """Copy the documentation and the signature of a plan to a method.

    returns is the method's return type; {} stands for the type of the plan's result, or
    of the items that it yields.
    """

    def decorate(method: F) -> F:
        signature = inspect.signature(plan)
        _, *rest = signature.parameters.values()
        annotation = str(signature.return_annotation)
        result_type = re.sub(r"^\w+\[(.*?)(, None)?\]$", r"\1", annotation)
        client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        functools.update_wrapper(method, plan)
        vars(method)["__signature__"] = signature.replace(
            parameters=[client, *rest], return_annotation=returns.format(result_type)
        )
        return method

    return decorate
