"""One run from its recipe to its end: prepare, train, evaluate, save, stop, resume, and keep to a time.

Imports all below it. Stays empty, because `--time` is parsed before torch is imported.
"""
