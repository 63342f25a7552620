"""The house stands as docs/architecture.md draws it: no upward imports, no circles, lazy where it must be."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vutrace.protocol.messages import TABLES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vutrace"

# A room may import only from rooms above it.
ROOMS = [
    "errors",
    "quick",
    "records",
    "outgoing",
    "problems",
    "protocol",
    "framing",
    "dissection",
    "session",
    "matching",
    "capture",
    "rules",
    "sockets",
    "rings",
    "proxy",
    "launch",
    "peers",
    "replay",
    "diff",
    "tap",
    "conform",
    "evidence",
    "plugin",
    "views",
    "wireshark",
    "cli",
]
# Doors to the outside: what users import; they re-export and nothing else imports them.
DOORS = {"api", "scapy", "testing", "pytest_plugin", "__init__", "__main__"}


@cache
def tree_of(path: Path) -> ast.Module:
    """A source file, parsed once."""
    return ast.parse(path.read_text())


def room_of(module: str) -> str:
    """The room of a dotted module name below vutrace."""
    return module.split(".")[1] if module.count(".") else "__init__"


def imports_of(path: Path) -> Iterator[str]:
    """The vutrace modules that a file imports, wherever in the file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vutrace"):
            yield from (
                [f"vutrace.{alias.name}" for alias in node.names]
                if node.module == "vutrace"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("vutrace"))


def sources() -> list[Path]:
    """Every source file of the package that stands in a room."""
    files = list(PACKAGE.rglob("*.py"))
    return sorted(
        path for path in files if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in DOORS
    )


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_rooms_above(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = set(ROOMS[: ROOMS.index(room) + 1]) | {"__version__", "__init__"}
    used = {room_of(module) for module in imports_of(path)}
    assert used <= above, f"{room} imports {sorted(used - above)}"


@pytest.mark.parametrize("path", sorted((ROOT / "dissectors").glob("*.py")), ids=lambda path: path.name)
def test_our_dissectors_use_only_what_a_third_party_may(path: Path) -> None:
    assert set(imports_of(path)) <= {"vutrace.plugin"}


@pytest.mark.parametrize("module", ["vutrace.cli", "vutrace.proxy.relay"])
def test_help_and_the_relay_load_neither_scapy_nor_pyshark(module: str) -> None:
    script = f"import sys, {module}; print({{'scapy', 'pyshark', 'tabulate'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@cache
def error_classes() -> dict[str, ast.ClassDef]:
    """Every class of the package whose name says that it is an error."""
    trees = (tree_of(path) for path in PACKAGE.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name: node for node in nodes if node.name.endswith("Error")}


def test_errors_have_one_base() -> None:
    classes = error_classes()
    bases = {ast.unparse(base) for node in classes.values() for base in node.bases}
    assert bases <= set(classes) | {"Exception"}
    assert [name for name, node in classes.items() if ast.unparse(node.bases[0]) == "Exception"] == [
        "VutraceError"
    ]


@pytest.mark.parametrize("name", sorted(set(error_classes()) - {"VutraceError"}))
def test_an_error_has_an_exit_status(name: str) -> None:
    classes = error_classes()
    lines = [ast.unparse(classes[name])]
    while (base := ast.unparse(classes[name].bases[0])) != "VutraceError":
        name = base
        lines.append(ast.unparse(classes[name]))
    assert any("status = " in text for text in lines)


def test_a_class_name_has_one_meaning() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == set()


def module_names(path: Path) -> Iterator[str]:
    """What a module defines at its top: functions, classes, constants."""
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (
                each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
            )


def test_only_attributes_have_an_underscore() -> None:
    """A module's names are its room's to use; what others may import a package says in `__all__`."""
    underscored = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sources()
        for name in module_names(path)
        if name.startswith("_") and not name.startswith("__")
    }
    assert not underscored


# Outside the tables of messages, their peers, the cases that say what to send, the texts that explain errors,
# and what single programs do.
ELSEWHERE = ("protocol", "peers", "conform")
HABITS = "habits"  # a fact of a program, not of a message
TABLES_LEFT, LITERALS_LEFT = 8, 5


def knowing(path: Path) -> Iterator[ast.AST]:
    """The nodes of a module that may type a message's name without being its row."""
    parts = path.relative_to(PACKAGE).parts
    if parts[0] not in ELSEWHERE and not path.stem.endswith("_errors") and path.stem != HABITS:
        yield from ast.walk(tree_of(path))


def test_what_a_message_means_stands_in_its_row() -> None:
    """A name outside its row asks which column is missing."""
    rows = [row for table in TABLES.values() for row in table.values()]
    known = {row.name for row in rows}
    tables, literals = list[str](), list[str]()
    for path in sources():
        place = str(path.relative_to(PACKAGE))
        inside: set[ast.AST] = set()
        for node in knowing(path):
            names = [each for each in ast.walk(node) if is_name(each, known)] if is_table(node) else []
            if names and names[0] not in inside:
                inside.update(names)
                tables.append(f"{place}:{node.lineno}")  # type: ignore[attr-defined]
            if is_name(node, known) and node not in inside:
                literals.append(f"{place}:{node.lineno}")  # type: ignore[attr-defined]
    assert len(tables) <= TABLES_LEFT, tables
    assert len(literals) <= LITERALS_LEFT, literals


def is_table(node: ast.AST) -> bool:
    """Whether a node is a collection."""
    return isinstance(node, ast.Dict | ast.Set | ast.Tuple | ast.List)


def is_name(node: ast.AST, known: set[str]) -> bool:
    """Whether a node is the name of a message."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known


# Words that say nothing beside a name.
EMPTY = set(
    re.findall(r"\w+", "a an the one of in its it is are and to what each with for from this that by as s")
)


def content(text: str) -> set[str]:
    """The words of a text or of a name, in the singular, that say something."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ").lower()
    return {word.removesuffix("s") for word in re.findall("[a-z]+", spaced) if word not in EMPTY}


def test_no_docstring_only_repeats_the_name() -> None:
    documented = (
        (f"{path.relative_to(PACKAGE)}: {node.name}", node.name, ast.get_docstring(node) or "")
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and len(node.body) > 1
    )
    assert [where for where, name, text in documented if text and content(text) <= content(name)] == []
