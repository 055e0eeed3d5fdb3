"""What stands before a benchmark: no time is reported for a kernel that is not right at that very shape."""

from gptkit.attention import SoftmaxAttention
from gptkit.testing.attend_equivalence import attend_equals_reference
from gptkit.testing.case import Case


def reason_against(attention: SoftmaxAttention, case: Case) -> str | None:
    """Return why the `attend` of an attention in eval mode may not be timed on an input, or None if it may."""
    try:
        attend_equals_reference(attention, case)
    except AssertionError as error:
        return str(error)
    # A kernel that cannot do what is asked raises whatever it likes, and there is no time to report either.
    except Exception as error:
        return f"{type(error).__name__}: {error} ({case})"
    return None
