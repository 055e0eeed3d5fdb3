"""How a recipe came to its attentions, for people to read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptkit.recipe.resolved import Choice
    from gptkit.run.prepare import PreparedRun
    from gptkit.tuning.choose_attention import TimingResult


def chosen_attentions(prepared: "PreparedRun") -> list[str]:
    """Return the attentions with the reason for each, then the lines of the tables that `auto` chose from."""
    attentions = {layer["attention"].name: layer["attention"] for layer in prepared.resolved.layers}
    reasons = "; ".join(f"{name}: {why(choice, prepared)}" for name, choice in attentions.items())
    return [reasons, *(line for timing in prepared.timings for line in table_of(timing))]


def why(choice: "Choice", prepared: "PreparedRun") -> str:
    """Return how an attention came to be chosen."""
    for timing in prepared.timings:
        if choice.key in timing.keys:
            is_first = timing.chosen is timing.rows[0]
            reason = "the fastest here" if is_first else "close to the fastest here, and keeps less in memory"
            return f"{reason}, for auto in {choice.place}"
    return "the default" if choice.place == "default" else f"chosen in {choice.place}"


def table_of(timing: "TimingResult") -> list[str]:
    """Return the lines of the table that an attention was chosen from."""
    width = max(len(row.name) for row in timing.rows)
    least = timing.rows[0].seconds or 0.0
    lines = [f"  {', '.join(timing.keys)}: one pass forward and backward, {timing.conditions}; {timing.origin}"]
    for row in timing.rows:
        if row.seconds is None:
            lines.append(f"    {row.name:<{width}}  not chosen: {row.why}")
        else:
            ratio = f"{row.seconds / least:.2f}×" if least else ""
            kept = f"{row.kept / 2**20:,.1f} MB kept"
            lines.append(f"    {row.name:<{width}}  {1e3 * row.seconds:10.3f} ms  {ratio:<6}  {kept}")
    return lines
