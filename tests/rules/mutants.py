"""A mutation run over the rule functions: `python tests/rules/mutants.py [module ...]`.

Each comparison, operator, constant and condition of a module in vutrace/rules is changed, one at a time; the
module's checks are then asked about every trace of the tests. A mutant under which all of them still break
what they broke survives, and is printed.

Some survivors behave as the module does, so that no trace can tell them: a default of 0 or 1 where only
higher bits are looked at; a check for None of what is never None there, or whose error is caught; a first
condition that only saves the others' work; a kick that starts a ring where every kick does.
"""

import ast
import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from kit.transcript import connection, script  # noqa: E402
from traces import REGISTRY, Case, Lines  # noqa: E402

from vutrace.protocol.check import Check  # noqa: E402
from vutrace.rules.judge import Judge  # noqa: E402
from vutrace.rules.profiles import DeviationProfile  # noqa: E402
from vutrace.session.tracker import Tracker  # noqa: E402

Found = list[tuple[int, str, int | None, str]]
MODULES = (
    "ring_base",
    "ring_enabling",
    "ring_setup",
    "ring_values",
    "negotiation",
    "memory_access",
    "memory_regions",
    "memory_tables",
    "migration",
    "inflight",
    "config",
    "channel",
    "gpu",
    "device",
    "reply",
)
SUITES = ("ring", "negotiation", "memory", "other", "devices")
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.RShift: ast.LShift,
}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may be instead."""
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in COMPARED:
                other = copy.deepcopy(node)
                other.ops[place] = COMPARED[type(op)]()
                yield other
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        for place in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != place]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.If):
        yield ast.If(ast.Constant(True), node.body, node.orelse)
        yield ast.If(ast.Constant(False), node.body, node.orelse)


class Changed(ast.NodeTransformer):
    """A copy of a tree with one node changed."""

    def __init__(self, place: int, new: ast.AST) -> None:
        self.place, self.new, self.count = place, new, -1

    def visit(self, node: ast.AST) -> ast.AST:
        self.count += 1
        if self.count == self.place:
            return ast.copy_location(self.new, node)
        return super().generic_visit(node)


def preorder(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in the order in which they are visited."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from preorder(child)


def mutants(path: Path) -> Iterator[tuple[str, CodeType]]:
    """Each mutant of a module's functions: where it is and what it has become, and its code."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for statement in function.body
        for node in ast.walk(statement)
    }
    for place, node in enumerate(preorder(tree)):
        if id(node) in inside:
            for new in changes(node):
                made = ast.fix_missing_locations(Changed(place, new).visit(copy.deepcopy(tree)))
                line = getattr(node, "lineno", 0)
                yield f"{path.name}:{line}: {told(node)}  →  {told(new)}", compile(made, path, "exec")


def told(node: ast.AST) -> str:
    """A node in words."""
    return ast.unparse(node.test if isinstance(node, ast.If) else node).splitlines()[0]


def cases() -> list[Case]:
    """Every case of the tests."""
    return [case for suite in SUITES for case in import_module(f"test_rules_{suite}").CASES]


def found(checks: tuple[Check, ...], lines: Lines, device: str) -> Found:
    """What the checks find in a trace: row, rule, ring, text."""
    judge, tracker = Judge(DeviationProfile("strict"), checks), Tracker(REGISTRY, device)
    rows = [*judge.rows(tracker.rows([connection(), *script(*lines)])), *judge.end()]
    return [(row.number, each.name, each.ring, each.text) for row in rows for each in row.problems]


def main(modules: list[str]) -> None:
    """Print the survivors, and how many mutants there were."""
    every = [(lines, case.device) for case in cases() for lines in (case.broken, case.lawful, *case.more)]
    every += [
        each for suite in SUITES for each in getattr(import_module(f"test_rules_{suite}"), "OTHERS", ())
    ]
    for name in modules:
        module = import_module(f"vutrace.rules.{name}")
        mine = {check.rule.name for check in module.CHECKS}
        told = [found(module.CHECKS, *each) for each in every]
        # Those first that are the likeliest to tell.
        order = sorted(range(len(every)), key=lambda place: not any(each[1] in mine for each in told[place]))
        watched, expected = [every[place] for place in order], [told[place] for place in order]
        total = survived = 0
        for where, code in mutants(Path(str(module.__file__))):
            total += 1
            with changed(module, code) as checks:
                if lives(checks, watched, expected):
                    survived += 1
                    print(where, flush=True)
        print(f"{name}: {survived} of {total} mutants survive, by {len(watched)} traces", flush=True)


@contextmanager
def changed(module: ModuleType, code: CodeType) -> Iterator[tuple[Check, ...]]:
    """A mutant's checks, while the module's functions are the mutant's for whoever has imported them."""
    space: dict[str, Any] = {"__name__": "mutant"}
    exec(code, space)
    functions = [vars(module)[name] for name in space if isinstance(space[name], FunctionType)]
    own = {each: each.__code__ for each in functions if each.__module__ == module.__name__}
    own = {each: code for each, code in own.items() if each.__name__ in space}  # no lambda
    for each in own:
        each.__code__ = space[each.__name__].__code__
    try:
        yield space["CHECKS"]
    finally:
        for each, before in own.items():
            each.__code__ = before


def lives(checks: tuple[Check, ...], traces: list[tuple[Lines, str]], expected: list[Found]) -> bool:
    """Whether no trace tells a mutant from the module."""
    try:
        return all(found(checks, *each) == told for each, told in zip(traces, expected, strict=True))
    except Exception:  # a mutant may raise anything
        return False


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODULES))
