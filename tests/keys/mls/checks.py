"""Where a package's checks are, and each file without one of them; `mutate.py` says what counts as a check."""

import ast
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

JUDGES = re.compile(r"^_?(check|verify|validate|fits|must|require|finish|crypto_sign_open)")
"""Names of functions that are called for what they refuse."""

Lines = frozenset[int]


@dataclass(frozen=True)
class Mutant:
    """One check taken out of one file."""

    file: str
    line: int
    function: str
    text: str
    """The check, as it reads in the file."""
    fires: Lines
    """The lines that only run when the check refuses; for a call, its own."""
    calls: str | None
    """For a call, whom."""
    source: str
    """The whole file without the check."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.text}"


class Finder(ast.NodeVisitor):
    """All checks of one file, each taken out by itself."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.tree = tree
        self.path: list[str] = []
        self.returns_bool = False
        self.found: list[Mutant] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before = self.returns_bool
        self.returns_bool = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        self._within(node)
        self.returns_bool = before

    def _within(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self.path.append(node.name)
        last = node.body[-1]
        if isinstance(last, ast.Raise) and len(node.body) > 1 and not _is_promise(last):
            self._note(last, ast.unparse(last), _lines(last), None, last, ast.Pass())
        self.generic_visit(node)
        self.path.pop()

    def visit_If(self, node: ast.If) -> None:
        if self._refuses(node.body):
            fires = _lines(*node.body)
            for text, part, replaced in _operands(node.test):
                self._note(node, f"if {text}", fires, None, part, replaced)
        elif node.orelse and self._refuses(node.orelse) and not isinstance(node.orelse[0], ast.If):
            for one in node.orelse:
                self._note(one, f"else: {ast.unparse(one)}", _lines(one), None, one, ast.Pass())
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if self._refuses(node.body):
            text = f"case {ast.unparse(node.pattern)}"
            self._note(node.body[-1], text, _lines(*node.body), None, node.body[-1], ast.Pass())
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if self.returns_bool and isinstance(node.value, ast.BoolOp) and isinstance(node.value.op, ast.And):
            for part in node.value.values:
                kept = ast.Constant(value=True)
                self._note(node, f"return ... and {ast.unparse(part)}", _lines(node), None, part, kept)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if JUDGES.match(name):
                self._note(node, ast.unparse(node), _lines(node), name, node, ast.Pass())

    def _refuses(self, body: Sequence[ast.stmt]) -> bool:
        last = body[-1]
        if isinstance(last, ast.Return) and self.returns_bool:
            return isinstance(last.value, ast.Constant) and last.value.value is False
        return isinstance(last, ast.Raise) and not _is_promise(last)

    def _note(
        self, place: ast.stmt, text: str, fires: Lines, calls: str | None, old: ast.AST, new: ast.stmt | ast.expr
    ) -> None:
        without = ast.unparse(_Replace(old, new).apply(self.tree))
        self.found.append(Mutant(self.file, place.lineno, ".".join(self.path), text, fires, calls, without))


class _Replace(ast.NodeTransformer):
    """A copy of a tree with one node changed for another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    def apply(self, tree: ast.Module) -> ast.Module:
        memo: dict[int, object] = {}
        copied = copy.deepcopy(tree, memo)
        self.old = memo[id(self.old)]  # type: ignore[assignment]
        return ast.fix_missing_locations(self.visit(copied))

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return super().visit(node)  # type: ignore[no-any-return]


def _is_promise(node: ast.Raise) -> bool:
    """`raise AssertionError` says what can't be; a bare `raise` passes on."""
    called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return called is None or (isinstance(called, ast.Name) and called.id == "AssertionError")


def _lines(*nodes: ast.stmt) -> Lines:
    return frozenset(line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _operands(test: ast.expr) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """The refusals in a condition: its text, the node, and what stands there when it is gone."""
    never, always = ast.Constant(value=False), ast.Constant(value=True)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        for part in test.values:
            yield from _operands(part)
        return
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = test.operand
        if isinstance(inner, ast.BoolOp) and isinstance(inner.op, ast.And):
            for part in inner.values:
                yield f"not {ast.unparse(part)}", part, always
            return
        if isinstance(inner, ast.Compare) and len(inner.ops) > 1:
            sides = [inner.left, *inner.comparators]
            for at in range(len(inner.ops)):
                kept = [other for other in range(len(inner.ops)) if other != at]
                rest: list[ast.expr] = [ast.Compare(sides[k], [inner.ops[k]], [sides[k + 1]]) for k in kept]
                gone = ast.Compare(sides[at], [inner.ops[at]], [sides[at + 1]])
                left = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
                yield f"not {ast.unparse(gone)}", inner, left
            return
    yield ast.unparse(test), test, never


def mutants_of(root: Path, file: Path) -> list[Mutant]:
    """Every check of a file, taken out."""
    tree = ast.parse(file.read_text())
    finder = Finder(file.relative_to(root).as_posix(), tree)
    finder.visit(tree)
    return finder.found


# Who fires in whom: for a call, the tests in which it refused come first


def refusals(files: Sequence[Path], root: Path) -> dict[str, set[tuple[str, int]]]:
    """By the name of a function: the lines in it that raise, and in those it calls."""
    raises: dict[str, set[tuple[str, int]]] = {}
    calls: dict[str, set[str]] = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            here, called = raises.setdefault(node.name, set()), calls.setdefault(node.name, set())
            for inner in ast.walk(node):
                if isinstance(inner, ast.Raise):
                    here.add((file.relative_to(root).as_posix(), inner.lineno))
                elif isinstance(inner, ast.Call):
                    called.add(inner.func.attr if isinstance(inner.func, ast.Attribute) else ast.unparse(inner.func))
    for _ in range(4):  # as deep as the package judges
        for name, called in calls.items():
            raises[name] |= {line for other in called for line in raises.get(other, ())}
    return raises
