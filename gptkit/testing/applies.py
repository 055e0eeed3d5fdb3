"""Why a promise cannot be checked on a part, as opposed to broken."""


class DoesNotApply(Exception):  # noqa: N818  # a verdict
    """A part does not make the promise on this input, or there is nothing here to check it on.

    Args:
        reason: What a person is told in the place of a verdict.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusal(DoesNotApply):
    """A part declared that it cannot do what was asked."""


class NotHere(DoesNotApply):
    """What the check needs, this machine does not have."""
