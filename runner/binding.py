"""Does a syntax tree bind a name at module level?

Decided before anything of the script runs, so that a script without `main` has
no effects. Generous where only running can tell: a binding in a branch that is
never taken counts, and so does `from x import *`.
"""

import warnings

# Not `ast`: that module costs 6 ms to import, its node classes nothing.
from _ast import (
    AST,
    AnnAssign,
    AsyncFunctionDef,
    ClassDef,
    ExceptHandler,
    FunctionDef,
    Global,
    Import,
    ImportFrom,
    Lambda,
    MatchAs,
    MatchMapping,
    MatchStar,
    Name,
    PyCF_ONLY_AST,
    Store,
    alias,
    comprehension,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTIONS = (FunctionDef, AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ClassDef)


def binds(source: str, name: str) -> bool:
    """Tell whether running source, which compiles, may bind name at its top level."""
    try:
        with warnings.catch_warnings(action="ignore"):
            # Compiling the script has printed them.
            tree = compile(source, "script.py", "exec", PyCF_ONLY_AST)
    except RecursionError:
        # Too deep for a tree, and yet it compiled. Running it will tell.
        return True
    return _binds_here(tree, name) or _is_declared_global(tree, name)


def _binds_here(tree: AST, name: str) -> bool:
    # A stack and no recursion: expressions nest thousands deep.
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
    """The node's children whose names are of the same scope as the node's."""
    if isinstance(node, _SCOPES):
        # The body is a scope of its own; what surrounds it is evaluated here.
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
        # Statements only: no expression holds a `global`.
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
