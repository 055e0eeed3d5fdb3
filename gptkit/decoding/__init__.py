"""Text generation: sampling, the decoders, which differ in speed but not in text, and text from a prompt.

Imports `interfaces`, `nn` and `seeds`. It knows the model as a `LanguageModel`, not as a GPT.
"""
