"""A model writes: the decoders, which differ in speed and not in text, sampling, and text from a prompt.

Imports `interfaces` and `nn`; types the model by `LanguageModel`, so that it knows no GPT.
"""
