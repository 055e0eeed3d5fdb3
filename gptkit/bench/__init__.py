"""Benchmarks: seconds, rates and memory of attentions, training steps, decoding and start-up.

A part that fails its contract at the measured shape gets a reason and no time. `gptkit bench` prints the results,
and `benchmarks/` hands them to pytest. Imports everything but `api` and `cli`.
"""
