"""What was measured on this machine, kept so that the next run under the same conditions need not measure."""

import hashlib
import inspect
import json
import platform
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch

from gptkit.tuning.attention_timing import Row
from gptkit.tuning.candidate import Candidate
from gptkit.tuning.timing_conditions import TimingConditions
from gptkit.user_cache import cache_directory, keep

Key = Mapping[str, Any]


def key_of(candidates: list[Candidate], conditions: TimingConditions, position: str) -> Key:
    """Return all that a measurement depends on and that can be known without it, in JSON's types.

    Args:
        position: The part that turns queries and keys, as a recipe writes it.
    """
    dims = conditions.dims
    return {
        "gptkit": hash_of(package_files("gptkit")),
        "torch": torch.__version__,
        "device": device_name(conditions.device),
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "dtype": conditions.dtype,
        "compile": conditions.compile,
        "deterministic": conditions.deterministic,
        "shape": [conditions.batch_size, dims.n_head, dims.block_size, dims.head_width],
        "timed": [conditions.rows, conditions.positions, conditions.is_whole],
        "dropout": dims.dropout,
        "position": position,
        "attentions": [
            {
                "name": candidate.name,
                "owner": candidate.owner,
                "options": repr(sorted(candidate.options.items())),
                "source": source_hash(candidate.part),
            }
            for candidate in candidates
        ],
    }


def device_name(device: torch.device) -> str:
    """Return what a device is, as far as the system says."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # Linux says which processor it is only here.
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join([device.type, platform.machine(), models[0] if models else platform.processor()])


def source_hash(part: type) -> str:
    """Return the SHA-256 of where a class and its bases were written, and of its package if it is a stranger's."""
    package = part.__module__.partition(".")[0]
    files = set() if package == "gptkit" else package_files(package)
    for each in part.__mro__:
        try:
            files.add(Path(inspect.getsourcefile(each) or ""))
        except (OSError, TypeError):
            continue  # It is built in, or was written nowhere.
    return hash_of(files)


def package_files(name: str) -> set[Path]:
    """Return the Python files of an imported package; a module that is none has none."""
    return {
        file for folder in getattr(sys.modules.get(name), "__path__", ()) for file in Path(folder).rglob("*.py")
    }


def hash_of(files: set[Path]) -> str:
    """Return the SHA-256 of files, as far as they are there."""
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def file_for(key: Key) -> Path:
    """Return where the measurement of a key is kept."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return cache_directory() / "attention" / f"{name}.json"


def kept(key: Key) -> tuple[list[Row], str] | None:
    """Return what was measured and on which day, or None if there is nothing whole."""
    names = [attention["name"] for attention in key["attentions"]]
    try:
        found = json.loads(file_for(key).read_bytes())
        rows = [Row(row["name"], row["seconds"], row["why"], row["kept"]) for row in found["rows"]]
        day = date.fromisoformat(found["day"]).isoformat()
        is_whole = found["key"] == key and [row.name for row in rows] == names and all(map(is_row, rows))
    # Whatever somebody or a full disk made of it: it is measured anew.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return (rows, day) if is_whole else None


def is_row(row: Row) -> bool:
    """Return whether a row has either a time or a reason."""
    is_time = isinstance(row.seconds, float) and 0 <= row.seconds < float("inf")
    return (
        isinstance(row.why, str)
        and isinstance(row.kept, int)
        and (is_time if not row.why else row.seconds is None)
    )


def keep_rows(key: Key, rows: list[Row]) -> str:
    """Keep what was measured today; return what kept that from being done, or nothing."""
    found = {"key": key, "day": date.today().isoformat(), "rows": [vars(row) for row in rows]}
    try:
        keep(json.dumps(found, indent=1).encode(), file_for(key))
    except OSError as error:
        return f"it cannot be kept in {file_for(key)}: {error.strerror}"
    return ""
