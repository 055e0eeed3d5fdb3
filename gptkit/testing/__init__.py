"""Checks that any part of a kind must pass, whoever wrote it.

Each check is a function of a part's class and a `Case`, and raises AssertionError where the part fails. A
plugin's author calls them as gptkit's own tests do: on `strategies.cases()`, for many shapes and sizes.
"""
