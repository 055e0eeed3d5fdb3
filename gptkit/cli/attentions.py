"""How a recipe came to its attentions, for people to read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptkit.choose_attention import Contest
    from gptkit.experiment import Experiment
    from gptkit.resolved import Choice


def chosen_attentions(experiment: "Experiment") -> list[str]:
    """Return the attentions with the reason for each, then the lines of the tables that `auto` chose from."""
    attentions = {layer["attention"].name: layer["attention"] for layer in experiment.resolved.layers}
    reasons = "; ".join(f"{name}: {why(choice, experiment)}" for name, choice in attentions.items())
    return [reasons, *(line for contest in experiment.contests for line in table_of(contest))]


def why(choice: "Choice", experiment: "Experiment") -> str:
    """Return how an attention came to be chosen."""
    for contest in experiment.contests:
        if choice.key in contest.keys:
            is_first = contest.chosen is contest.rows[0]
            reason = "the fastest here" if is_first else "close to the fastest here, and keeps less in memory"
            return f"{reason}, for auto in {choice.place}"
    return "the default" if choice.place == "default" else f"chosen in {choice.place}"


def table_of(contest: "Contest") -> list[str]:
    """Return the lines of the table that an attention was chosen from."""
    width = max(len(row.name) for row in contest.rows)
    least = contest.rows[0].seconds or 0.0
    lines = [f"  {', '.join(contest.keys)}: one pass forward and backward, {contest.conditions}; {contest.origin}"]
    for row in contest.rows:
        if row.seconds is None:
            lines.append(f"    {row.name:<{width}}  not chosen: {row.why}")
        else:
            ratio = f"{row.seconds / least:.2f}×" if least else ""
            kept = f"{row.kept / 2**20:,.1f} MB kept"
            lines.append(f"    {row.name:<{width}}  {1e3 * row.seconds:10.3f} ms  {ratio:<6}  {kept}")
    return lines
