"""Finds out whether a syntax tree binds a name at module level.

This is decided before anything of the script runs, so that a script without `main` has
no effects. Bindings that depend on the run count: those in a branch that may not be
taken, and `from x import *`.
"""

import warnings

# Not `ast`: that module takes 6 ms to import, its node classes none.
from _ast import (
    AST,
    AnnAssign,
    AsyncFunctionDef,
    ClassDef,
    Constant,
    ExceptHandler,
    Expr,
    FunctionDef,
    Global,
    Import,
    ImportFrom,
    Lambda,
    MatchAs,
    MatchMapping,
    MatchStar,
    Name,
    Pass,
    PyCF_ONLY_AST,
    Store,
    alias,
    comprehension,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FUNCTIONS = (FunctionDef, AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ClassDef)
# Statements that do nothing by themselves.
_DEFINITIONS = (*_SCOPES, Import, ImportFrom, Pass)


def binds(source: str, name: str) -> bool:
    """Report whether source, which compiles, may bind name at its top level."""
    try:
        with warnings.catch_warnings(action="ignore"):
            # They were shown when the script was compiled.
            tree = compile(source, "script.py", "exec", PyCF_ONLY_AST)
    except RecursionError:
        # Too deep for a syntax tree, though it compiled. Only the run can show.
        return True
    return _binds_here(tree, name) or _is_declared_global(tree, name)


def has_statements(source: str) -> bool:
    """Report whether source has a statement at its top level that does something.

    Imports and definitions do not, nor do docstrings.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            tree: Any = compile(source, "script.py", "exec", PyCF_ONLY_AST)
    except Exception:
        return True  # too deep for a syntax tree
    return any(
        not isinstance(node, _DEFINITIONS)
        and not (isinstance(node, Expr) and isinstance(node.value, Constant))
        for node in tree.body
    )


def _binds_here(tree: AST, name: str) -> bool:
    # A stack instead of recursion: expressions nest thousands deep.
    todo: list[AST] = [tree]
    while todo:
        node = todo.pop()
        if _binds_itself(node, name):
            return True
        todo.extend(_evaluated_here(node))
    return False


def _binds_itself(node: AST, name: str) -> bool:
    match node:
        case Name(id=bound, ctx=Store()):
            return bound == name
        case FunctionDef() | AsyncFunctionDef() | ClassDef() | ExceptHandler():
            return node.name == name
        case MatchAs() | MatchStar():
            return node.name == name
        case MatchMapping(rest=bound):
            return bound == name
        case Import(names=aliases) | ImportFrom(names=aliases):
            return any(_bound_by_import(one) in (name, "*") for one in aliases)
    return False


def _bound_by_import(imported: alias) -> str:
    return imported.asname or imported.name.partition(".")[0]


def _evaluated_here(node: AST) -> "Iterator[AST]":
    """Yield the node's children whose names are in the same scope as the node's."""
    if isinstance(node, _SCOPES):
        # The body has its own scope; the rest is evaluated in this one.
        yield from node.decorator_list
        if isinstance(node, ClassDef):
            yield from (*node.bases, *node.keywords)
        else:
            yield from _children(node.args)
            if node.returns is not None:
                yield node.returns
    elif isinstance(node, Lambda):
        yield from (*node.args.defaults, *filter(None, node.args.kw_defaults))
    elif isinstance(node, comprehension):
        # Not the target. A walrus inside binds in the enclosing scope.
        yield from (node.iter, *node.ifs)
    elif isinstance(node, AnnAssign) and node.value is None:
        # `main: int` alone binds nothing; `f(x).main: int` evaluates f(x).
        yield node.annotation
        if not isinstance(node.target, Name):
            yield node.target
    else:
        yield from _children(node)


def _is_declared_global(tree: AST, name: str) -> bool:
    todo: list[AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, Global) and name in node.names:
            return True
        # Statements only: no expression contains a `global`.
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                todo.extend(inner)
    return False


def _children(node: AST) -> "Iterator[AST]":
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, AST):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, AST))
