"""Which laws allow the departures that a part declares."""

from functools import partial

from gptkit.testing import laws
from gptkit.testing.accuracy import declared_by
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.check import Check
from gptkit.testing.equivalence import equals_reference
from gptkit.testing.subject import Subject

OF_CACHES = (
    laws.cache.cache_changes_nothing,
    laws.cache.cache_keeps_positions,
    laws.cache.caches_are_apart,
    laws.cache.chunks_change_nothing,
    laws.kept.written_again_is_replaced,
    laws.kept.decodes_what_it_has_learnt,
    laws.cache.decodes_under_autocast,
    laws.compile.decoding_compiles_once,
    laws.mask.decodes_without_a_mask,
)
OF_REFERENCES = (equals_reference, attends_as_reference)


def tolerance_of(check: Check, subject: Subject) -> float:
    """Return the departure that a check allows beyond rounding, because the part declares it."""
    law = check.law.args[0] if isinstance(check.law, partial) else check.law
    declared = declared_by(subject.part)
    if law in OF_CACHES:
        return declared.cached
    return declared.reference if law in OF_REFERENCES else 0.0
