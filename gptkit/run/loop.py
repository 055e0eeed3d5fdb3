"""Trains, evaluates, samples and saves, and yields an event for each."""

import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from statistics import median

from gptkit.errors import CheckpointError, NumericsError, PluginError
from gptkit.run import events
from gptkit.run.failure import save_and_explain
from gptkit.run.prepare import PreparedRun, with_compile_decided
from gptkit.run.session import Session
from gptkit.run.step_count import schedule_maker
from gptkit.run.stop import Stop
from gptkit.run.time_budget import Budget
from gptkit.run.time_pace import TimeController
from gptkit.run.time_plan import plan_steps
from gptkit.storage.fault_injection import reach
from gptkit.training.train import Step, train
from gptkit.tuning.determinism import deterministic
from gptkit.tuning.malloc import training_memory

SAMPLE_TOKENS = 500
# The first step also warms up; the median of the nine after it is steady to a few percent.
STEPS_TO_MEASURE = 10


def run(
    prepared: PreparedRun, stop: Stop | None = None, budget: Budget | None = None
) -> Generator[events.Event, None, None]:
    """Train a prepared model and yield what happens; the run directory records all of it.

    Closing the generator saves the last step and unlocks the run directory. Errors are those of `gptkit.train`.

    Args:
        stop: Asks the run to stop, from outside.
        budget: Time that the run may take; decides the number of steps.
    """
    settings, device = prepared.resolved.train, prepared.device.value
    # Trial and measured steps run under the same allocator policy as all others.
    with (
        deterministic(settings.deterministic),
        training_memory(device, recomputes=settings.checkpoint_activations),
    ):
        yield from run_events(prepared, stop or Stop(), budget)


def run_events(prepared: PreparedRun, stop: Stop, budget: Budget | None) -> Generator[events.Event, None, None]:
    """Choose what the recipe leaves open, train to the end, and yield every event."""
    began = budget.began if budget else time.perf_counter()
    plan, controller = None, None
    with stop.breakable():
        is_auto = prepared.resolved.train.compile == "auto"
        seconds_left = budget.left(time.perf_counter()) if budget else None
        prepared, is_compiled = with_compile_decided(prepared, seconds_left)
        if budget is not None:
            prepared, plan = plan_steps(prepared, budget, SAMPLE_TOKENS)
        session = Session(prepared)
    try:
        yield events.Started(prepared.out)
        if is_auto:
            yield events.Chosen("compile", str(is_compiled.value).lower(), is_compiled.reason)
        if budget is not None and plan is not None:
            yield plan
            controller = TimeController(budget, plan, session.settings, schedule_maker(prepared))
        yield from train_events(session, stop, controller)
        session.directory.saver.wait()
    except GeneratorExit:
        # The caller left its loop between two steps. While the interpreter shuts down it is too late to save.
        if session.step > session.first and not sys.is_finalizing():
            session.save()
            session.directory.saver.wait()
        raise
    except NumericsError as error:
        raise NumericsError(f"{error}. {session.last_good()}, and it is as it was") from error
    except (CheckpointError, PluginError):
        raise
    except Exception as error:
        raise save_and_explain(session, error) from error
    finally:
        if not sys.is_finalizing():
            session.close(at_once=stop.is_now)
    yield end_of(session, stop, time.perf_counter() - began)


def end_of(session: Session, stop: Stop, seconds: float) -> events.Finished | events.TimeUp | events.Stopped:
    """Return the last event of a run."""
    if session.is_over and not session.eval_pending:
        assert session.best is not None, "the last step is evaluated, and the first evaluation is the best so far"
        return events.Finished(session.best, seconds)
    if session.is_cut and not stop.is_asked:
        return events.TimeUp(session.step, session.settings.max_iters)
    return events.Stopped(session.step)


def train_events(session: Session, stop: Stop, controller: TimeController | None = None) -> Iterator[events.Event]:
    """Yield the remaining steps, each followed by its evaluation and sample, to the end or a request to stop."""
    if session.eval_pending:
        yield from after_step(session, stop)
    if stop.is_asked:
        return
    durations: list[float] = []
    tokens, seconds = 0, 0.0
    asked = time.perf_counter()
    for step in remaining_steps(session):
        resized = list(adjust_length(controller, session)) if controller else []
        is_measured = len(durations) < STEPS_TO_MEASURE
        # CUDA runs asynchronously: a step is over when it is confirmed.
        if is_measured or session.is_anything_due:
            step.confirm()
        spent = time.perf_counter() - asked
        tokens, seconds = tokens + step.tokens, seconds + spent
        # Before anything is yielded, because the caller may leave its loop there.
        if session.is_due(session.settings.log_interval):
            session.log(step, tokens / seconds)
            tokens, seconds = 0, 0.0
        yield from resized
        yield step
        if is_measured:
            durations.append(spent)
            if len(durations) == STEPS_TO_MEASURE:
                yield events.Estimate(median(durations[1:]) * (session.settings.max_iters - session.first))
        yield from after_step(session, stop)
        if stop.is_asked or session.is_cut:
            return
        asked = time.perf_counter()


def remaining_steps(session: Session) -> Iterator[Step]:
    """Yield the steps that are left, each after it is taken."""
    prepared = session.prepared
    steps = train(
        session.model,
        prepared.data.train_on(prepared.device.value),
        session.optimizer,
        # A time budget may change the schedule and max_iters during the run, so both are looked up at each step.
        lambda step: session.schedule(step),  # noqa: PLW0108
        replace(session.settings, max_iters=sys.maxsize),
        dtype=prepared.dtype.value,
        first=session.step,
        scaler=session.scaler,
    )
    while not session.is_over:
        reach("step")
        step = next(steps)
        session.step, session.confirm, session.eval_pending = step.number, step.confirm, True
        prepared.data.release()
        yield step


def adjust_length(controller: TimeController, session: Session) -> Iterator[events.Resized]:
    """Change max_iters to what the time left allows, or end the run here if it is far too late."""
    controller.update(session.step)
    if (controller.total, controller.retimed) != session.settings.length:
        session.change_length(controller.total, controller.retimed)
        yield events.Resized(controller.total)
    session.is_cut = controller.is_up


def after_step(session: Session, stop: Stop) -> Iterator[events.Evaluation | events.Sample]:
    """Evaluate, sample and save, each if it is due."""
    best, is_best = session.best, False
    try:
        for event in evaluate_and_sample(session, stop):
            yield event
            if isinstance(event, events.Evaluation) and event.is_best:
                best = event
    except KeyboardInterrupt:
        # Interrupted before both were done: the resumed run begins with them.
        if stop.is_now or not stop.is_asked:
            raise
    else:
        is_best = best is not session.best
        session.best, session.eval_pending = best, False
    if is_best or stop.is_asked or session.is_due(session.settings.checkpoint_interval):
        session.save(best=is_best)
    else:
        session.directory.saver.check()


def evaluate_and_sample(session: Session, stop: Stop) -> Iterator[events.Evaluation | events.Sample]:
    """Yield the evaluation and the sample that are due after a step."""
    if session.is_due(session.settings.eval_interval):
        with stop.breakable():
            reach("evaluate")
            evaluation = session.evaluate()
        session.directory.metrics.append(vars(evaluation))
        yield evaluation
    if session.is_due(session.settings.sample_interval):
        with stop.breakable():
            reach("sample")
            sample = session.generate_sample(SAMPLE_TOKENS)
        session.directory.write_sample(sample.step, sample.text)
        yield sample
