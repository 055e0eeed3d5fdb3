from gptkit.components.schedule.constant import ConstantSchedule


def test_the_factor_is_1_at_every_step() -> None:
    schedule = ConstantSchedule(10)
    assert [schedule(step) for step in range(11)] == [1.0] * 11
