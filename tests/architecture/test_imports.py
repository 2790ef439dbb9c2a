"""What importing a part of the house must not bring in; checked in fresh interpreters, lazy imports included."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy", "numpy", "sqlalchemy", "fastapi", "celery", "pydantic", "analysis", "instruments", "db")


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("services.uploader.commands", HEAVY),
        ("services.cli", HEAVY),
        ("services.api.app", ("torch", "analysis", "scipy", "instruments")),
        ("services.workers.main", ("torch",)),
        ("services.scheduler.main", ("torch",)),
        ("instruments.registry", ("sqlalchemy", "fastapi", "celery", "torch", "db", "analysis")),
        ("db.repositories.jobs", ("fastapi", "celery", "torch", "instruments", "analysis")),
    ],
)
def test_import_is_light(module: str, forbidden: tuple[str, ...]) -> None:
    """The module imports none of the forbidden packages."""
    script = f"import sys, {module}; print([name for name in {forbidden!r} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == "[]"


def test_import_contracts_hold() -> None:
    """import-linter's contracts in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
