"""Every deliberately broken part, and the checks that must catch it."""

from importlib import import_module
from pathlib import Path

# Each file of broken parts, which has a table of them.
FILES = sorted(file for file in Path(__file__).parent.glob("*.py") if file.stem.startswith(("broken_", "subtle_")))
TABLES = [import_module(f"tests.testing.{file.stem}") for file in FILES]
CAUGHT_BY: dict[type, tuple[str, ...]] = {
    mutant: tuple(checks.split()) for table in TABLES for mutant, checks in table.CAUGHT_BY.items()
}
