"""What this machine has, what fits into its memory, and what `auto` comes to here.

Imports `recipe`, `training` and `testing`, because an attention that `auto` chooses must pass its contract first.
"""
