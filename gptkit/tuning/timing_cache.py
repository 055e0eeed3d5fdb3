"""Caches the times of attentions on disk, so that only the first run under the same conditions measures.

Measuring takes 13 s of CPU time for `gpt_small` and 2 s for `gpt_tiny`; reading the cache at most 0.03 s.
"""

import json
import platform
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from gptkit.tuning.attention_timing import AttentionTime, Candidate
from gptkit.tuning.source_hash import gptkit_hash, source_hash
from gptkit.tuning.timing_conditions import TimingConditions
from gptkit.user_cache import file_for, store_file

# Of the cache.
FOLDER = "attention"

# Each has its precision of float32 products. The older name for both, torch.get_float32_matmul_precision, raises
# if a program has set one of them.
BACKENDS: tuple[Any, ...] = (torch.backends.cuda, torch.backends.mkldnn)


def key_of(candidates: list[Candidate], conditions: TimingConditions, position: str) -> dict[str, Any]:
    """Return all that the times depend on, as far as it is known without measuring, in JSON's types.

    Args:
        position: The model's position part, as a recipe writes it.
    """
    return {
        "gptkit": gptkit_hash(),
        "torch": torch.__version__,
        "device": device_name(conditions.device),
        "threads": torch.get_num_threads(),
        "matmul": [backend.matmul.fp32_precision for backend in BACKENDS],
        # The device's name counts, not its number.
        "conditions": str(replace(conditions, device=torch.device(conditions.device.type))),
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
    """Return the model name of a device, as far as the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # On Linux only this file names the processor.
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join([device.type, platform.machine(), models[0] if models else platform.processor()])


def load_times(key: dict[str, Any]) -> tuple[list[AttentionTime], date] | None:
    """Return the cached times and the day they were measured, or None if there is no valid file."""
    names = [attention["name"] for attention in key["attentions"]]
    try:
        found = json.loads(file_for(FOLDER, key).read_bytes())
        times = [AttentionTime(**each) for each in found["times"]]
        day = date.fromisoformat(found["day"])
        is_valid = (
            found["key"] == key and [each.name for each in times] == names and all(map(is_consistent, times))
        )
    # The file may have been edited, or cut off by a full disk: measure again.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return (times, day) if is_valid else None


def is_consistent(time: AttentionTime) -> bool:
    """Return whether values from a file have the right types, and either a time or a reason."""
    is_time = isinstance(time.seconds, float) and 0 <= time.seconds < float("inf")
    is_typed = isinstance(time.reason, str) and isinstance(time.bytes_kept, int)
    return is_typed and (time.seconds is None if time.reason else is_time)


def store_times(key: dict[str, Any], times: list[AttentionTime]) -> str:
    """Cache times that were measured today; return why that failed, or an empty string."""
    found = {"key": key, "day": date.today().isoformat(), "times": [vars(each) for each in times]}
    try:
        store_file(json.dumps(found, indent=1).encode(), file_for(FOLDER, key))
    except OSError as error:
        return str(error.strerror)
    return ""
