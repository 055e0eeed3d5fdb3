"""What a person should know about plugins that nobody asked for, but that are installed and broken."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptkit.plugins import Plugins


def warn_of_failures(plugins: "Plugins") -> None:
    """Print a line on standard error for each plugin that did not load."""
    for plugin in plugins.failed:
        print(f"warning: plugin {plugin.title} ({plugin.origin}) does not load: {plugin.failure}", file=sys.stderr)
