"""The rules of the house that a reader relies on, each as a check."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("instruments", "analysis", "db", "services")
MODULE_LINES = 400
FUNCTION_LINES = 50
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def modules(*packages: str) -> Iterator[Path]:
    """Every module of the packages but migrations, which are generated and then fixed for ever."""
    for package in packages or PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module, nested ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_stay_short() -> None:
    """A module that grows past the ceiling is split."""
    long = {
        str(path.relative_to(ROOT)): n for path in modules() if (n := len(path.read_text().splitlines())) > MODULE_LINES
    }
    assert not long


def test_functions_stay_short() -> None:
    """A function's body without its docstring fits on a screen."""
    long = []
    for path in modules():
        for function in functions(path):
            first = function.body[0]
            docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            lines = (function.end_lineno or 0) - function.lineno + 1
            if docstring:
                lines -= (first.end_lineno or 0) - first.lineno + 1
            if lines > FUNCTION_LINES:
                long.append((f"{path.relative_to(ROOT)}:{function.lineno} {function.name}", lines))
    assert not long


def test_modules_have_telling_names() -> None:
    """A drawer for everything is no room."""
    assert not [path for path in modules() if path.stem in FORBIDDEN_NAMES]


def test_package_files_are_empty() -> None:
    """Importing a package imports nothing."""
    assert not [path for path in modules() if path.name == "__init__.py" and path.read_text().strip()]


def public_functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Public functions and methods with the docstring that is to describe their arguments."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    text = (ast.get_docstring(method) or "") + (ast.get_docstring(node) or "")
                    yield f"{node.name}.{method.name}", method, text


def test_analysis_documents_every_argument() -> None:
    """Each argument of a public function of analysis is named in its docstring (shape, dtype, unit)."""
    missing = []
    for path in modules("analysis"):
        for name, function, text in public_functions(path):
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            for argument in arguments:
                if argument.arg not in ("self", "cls") and not re.search(rf"\b{argument.arg}\b", text):
                    missing.append(f"{path.relative_to(ROOT)} {name}({argument.arg})")
    assert not missing


def tracked_files() -> list[Path]:
    """What git tracks, or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: nothing is tracked")
    return [path for line in listing.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_no_path_of_a_machine_in_the_sources() -> None:
    """The project works wherever it is cloned."""
    machine_paths = re.compile(rb"/wo[r]k/|/home/[a-z]+/|/Users/[A-Za-z]+/")
    guilty = [path for path in tracked_files() if machine_paths.search(path.read_bytes())]
    assert not guilty
