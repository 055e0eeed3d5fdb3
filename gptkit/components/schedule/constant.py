from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Schedule


class ConstantSchedule(Schedule):
    """The optimizer's own learning rate at every step."""

    def __call__(self, step: int) -> float:
        """Return 1."""
        return 1.0


@hookimpl
def gptkit_register(register: Register) -> None:
    register("constant", ConstantSchedule)
