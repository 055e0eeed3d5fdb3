"""The metrics of a run: one JSON object a line, appended during the run."""

import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from gptkit.errors import CheckpointError
from gptkit.storage.safe_write import replace_file, sync_file


class MetricsLog:
    """The file metrics.jsonl."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row.

        Raises:
            CheckpointError: If it cannot be written.
        """
        # JSON has no NaN and no infinity.
        finite = {
            key: None if isinstance(value, float) and not isfinite(value) else value for key, value in row.items()
        }
        try:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite) + "\n")
        except OSError as error:
            raise CheckpointError(f"{self.file} cannot be written: {error.strerror}") from error

    def rows(self) -> list[dict[str, Any]]:
        """Return every complete row; the last line may be cut off if the run was killed."""
        found = []
        for line in self.file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                found.append(row)
        return found

    def keep(self, is_kept: Callable[[dict[str, Any]], bool]) -> None:
        """Remove the rows that `is_kept` rejects."""
        kept = [row for row in self.rows() if is_kept(row)]
        replace_file(self.file, "".join(json.dumps(row) + "\n" for row in kept).encode())

    def sync(self) -> None:
        """Wait until every row is on disk."""
        sync_file(self.file)
