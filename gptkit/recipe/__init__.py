"""From a TOML recipe to a checked recipe to modules; the only package that chooses parts by name.

Imports `interfaces`, `nn`, `registry` and `model`. Stays empty, so that `shipped` can be imported without torch.
"""
