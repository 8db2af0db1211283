"""Methods made of plans, as `help` shows them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def like(plan: Callable[..., Any], returns: str = "{}") -> Callable[[F], F]:
    """Give a method the documentation of its plan, and the signature of a method.

    returns is what the method returns, with {} for what the plan ends in or emits.
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
