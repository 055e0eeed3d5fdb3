"""`gptkit plugins`: lists the plugins that were found, their parts, and those that failed."""

import json

from gptkit.cli.options import AsJson, PluginFiles


def plugins(plugins: PluginFiles = None, as_json: AsJson = False) -> None:
    """List the installed and the named plugins: their origin and parts, or why they do not load."""
    from gptkit.registry.loader import Plugins

    found = Plugins(plugins or ())
    others = [plugin for plugin in [*found.loaded, *found.failed] if plugin.origin != "built in"]
    if as_json:
        rows = [
            {
                "name": plugin.name,
                "version": plugin.version,
                "origin": plugin.origin,
                "parts": [f"{entry.kind} {entry.name}" for entry in plugin.parts],
                "failure": plugin.failure,
            }
            for plugin in others
        ]
        print(json.dumps(rows, indent=2))
        return
    built_in = [plugin for plugin in found.loaded if plugin.origin == "built in"]
    print(f"gptkit's own: {len(built_in)} plugins, {sum(len(plugin.parts) for plugin in built_in)} parts")
    for plugin in others:
        offers = ", ".join(f"{entry.kind} {entry.name}" for entry in plugin.parts)
        outcome = f"does not load: {plugin.failure}" if plugin.failure else f"offers {offers or 'nothing'}"
        print(f"{plugin.title} ({plugin.origin}) {outcome}")
    if not others:
        print("no others: none is installed (entry-point group 'gptkit'), and --plugin FILE names none")
