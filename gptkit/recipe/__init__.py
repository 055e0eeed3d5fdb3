"""TOML to a checked recipe to modules: the only package in which parts have names.

Imports `interfaces`, `nn`, `registry` and `model`. Stays empty: `--time` is parsed before torch is imported.
"""
