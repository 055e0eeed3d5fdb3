"""Templates of `gptkit new`: for each kind a small part that passes its contract, and a recipe and a package.

Every file is a working plugin. Its part is called `mine` and its class `Mine…`; `gptkit new` replaces these names.
"""
