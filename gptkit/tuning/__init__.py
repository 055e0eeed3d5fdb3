"""Adapts training to this machine: what it has, what fits into its memory, and what `auto` resolves to.

Imports `recipe`, `training` and `testing`, because an attention that `auto` chooses must pass its contract first.
"""
