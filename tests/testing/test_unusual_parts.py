"""The kit raises no false alarm: right parts, however unusual, are not found broken."""

import pytest

from gptkit.testing.outcome import Depth, why_no_proof
from gptkit.testing.prove import checks_of, prove
from gptkit.testing.subject import Subject
from tests.testing import unusual_attentions, unusual_data, unusual_modules, unusual_parts
from tests.testing.kill_matrix import COMPILING

pytestmark = pytest.mark.exhaustive

# Each part takes a quarter of a minute on an ordinary number of inputs.
FEW = Depth(inputs=2, shrink=False)
GALLERIES = (unusual_parts, unusual_attentions, unusual_modules, unusual_data)


@pytest.mark.parametrize("part", [part for gallery in GALLERIES for part in gallery.UNUSUAL])
def test_it_is_proven(part: type) -> None:
    subject = Subject(part=part)
    outcomes = [prove(check, subject, FEW) for check in checks_of(subject) if check.id not in COMPILING]
    assert not [outcome.why for outcome in outcomes if outcome.verdict == "broken"]
    assert why_no_proof(outcomes) == ""
