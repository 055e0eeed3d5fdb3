"""HasLimits: says what an attention or a block cannot be combined with."""

from abc import ABC, abstractmethod

from gptkit.interfaces.attention import AttentionContext


class HasLimits(ABC):
    """Says what an attention or a block cannot be combined with. Inherit it beside the interface.

    `gptkit recipe check` asks it before any weight exists, and refuses the recipe. `forward` calls `check_limits`,
    so that a model built without a recipe is refused too.
    """

    @abstractmethod
    def refusal(self, ctx: AttentionContext) -> str | None:
        """Return why there can be no pass with this context, and what to choose instead; None if there can.

        Called without data: tensors in the context have shapes only.
        """

    def check_limits(self, ctx: AttentionContext) -> None:
        """Refuse a pass with this context if `refusal` has a reason.

        Raises:
            NotImplementedError: With that reason.
        """
        if reason := self.refusal(ctx):
            raise NotImplementedError(reason)
