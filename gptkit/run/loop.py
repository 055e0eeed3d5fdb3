"""The main job: trains, evaluates, samples and saves, and tells what happens as a stream of events."""

import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from gptkit.decoding.text import default_prompt, stream_text
from gptkit.errors import CheckpointError, NumericsError, PluginError
from gptkit.run.events import Chosen, Estimate, Evaluation, Finished, Planned, Resized, Sample, Stopped, TimeUp
from gptkit.run.failure import after_saving
from gptkit.run.prepare import PreparedRun, with_compile_decided
from gptkit.run.session import Session
from gptkit.run.step_count import schedules
from gptkit.run.stop import Stop
from gptkit.run.time_budget import Budget
from gptkit.run.time_pace import TimeController
from gptkit.run.time_plan import plan_steps
from gptkit.storage.fault_injection import reach
from gptkit.training.evaluate import train_loss, validation_loss
from gptkit.training.train import Step
from gptkit.tuning.determinism import deterministic
from gptkit.tuning.malloc import training_memory

SAMPLE_TOKENS = 500
# The first step also warms up; the median of the nine after it is steady to a few percent.
STEPS_TO_MEASURE = 10

Event = Step | Chosen | Planned | Resized | Estimate | Evaluation | Sample | Stopped | TimeUp | Finished


def run(prepared: PreparedRun, stop: Stop | None = None, budget: Budget | None = None) -> Iterator[Event]:
    """Train the model of an experiment and yield what happens; all of it goes to the run directory too.

    Args:
        stop: Asks the run to stop, from outside.
        budget: How long it may take; decides how many steps there are.

    Raises:
        NumericsError: If a loss, a gradient or a weight is not finite; nothing is saved of it.
        CheckpointError: If something cannot be saved.
        PluginError: If a stranger's part fails; what was reached before is saved first.
        UsageError: If the budget is too short for a run; nothing is written then.
    """
    settings, device = prepared.resolved.train, prepared.device.value
    # Steps that are tried or measured run under the same allocator as all others.
    with (
        deterministic(settings.deterministic),
        training_memory(device, recomputes=settings.checkpoint_activations),
    ):
        yield from run_events(prepared, stop or Stop(), budget)


def run_events(prepared: PreparedRun, stop: Stop, budget: Budget | None) -> Iterator[Event]:
    """Yield all that happens, from a step that is tried to the last that is taken."""
    began = budget.began if budget else time.perf_counter()
    controller = None
    with stop.breakable():
        is_open = prepared.resolved.train.compile == "auto"
        seconds_left = budget.left(time.perf_counter()) if budget else None
        prepared, is_compiled = with_compile_decided(prepared, seconds_left)
        if budget is not None:
            prepared, planned = plan_steps(prepared, budget, SAMPLE_TOKENS)
        session = Session(prepared, is_timed=budget is not None)
    try:
        if is_open:
            yield Chosen("compile", str(is_compiled.value).lower(), is_compiled.reason)
        if budget is not None:
            yield planned
            make, measured = schedules(prepared), planned.measured
            controller = TimeController(budget, planned.costs, session.settings, make, measured=measured)
        yield from train_events(session, stop, controller)
        session.directory.wait()
    except NumericsError as error:
        raise NumericsError(f"{error}. {session.last_good()}, and it is as it was") from error
    except (CheckpointError, PluginError):
        raise
    except Exception as error:
        raise after_saving(session, error) from error
    finally:
        session.close(at_once=stop.is_now)
    if session.is_over and not session.eval_pending:
        assert session.best is not None, "the last step is evaluated, and the first evaluation is the best so far"
        yield Finished(session.best, time.perf_counter() - began)
    elif session.is_cut and not stop.is_asked:
        yield TimeUp(session.step, session.settings.max_iters)
    else:
        yield Stopped(session.step)


def train_events(session: Session, stop: Stop, controller: TimeController | None = None) -> Iterator[Event]:
    """Yield what happens up to the last step, or the step after which the run is asked to stop."""
    settings = session.settings
    durations: list[float] = []
    tokens, seconds = 0, 0.0
    if session.eval_pending:
        yield from after_step(session, stop)
    asked = time.perf_counter()
    for step in () if stop.is_asked else session.steps():
        if controller is not None:
            yield from adjust_length(controller, session)
        is_measured = len(durations) < STEPS_TO_MEASURE
        # A GPU works behind one's back: a step has been taken when it was confirmed.
        if is_measured or session.is_anything_due:
            step.confirm()
        spent = time.perf_counter() - asked
        tokens, seconds = tokens + step.tokens, seconds + spent
        yield step
        if stop.is_asked:
            step.confirm()
        if is_measured:
            durations.append(spent)
            if len(durations) == STEPS_TO_MEASURE:
                yield Estimate(median(durations[1:]) * (session.settings.max_iters - session.first))
        if session.is_due(settings.log_interval):
            session.directory.metrics.append(metrics(step, tokens / seconds))
            tokens, seconds = 0, 0.0
        yield from after_step(session, stop)
        if stop.is_asked or session.is_cut:
            return
        asked = time.perf_counter()


def adjust_length(controller: TimeController, session: Session) -> Iterator[Resized]:
    """Let a run have as many steps as its time allows, or end here if nothing else does."""
    if (size := controller.size(session.step)) != session.settings.max_iters:
        session.change_max_iters(size)
        yield Resized(size)
    session.is_cut = controller.is_up(session.step)


def after_step(session: Session, stop: Stop) -> Iterator[Evaluation | Sample]:
    """Do what is due after a step: evaluate, let the model write, and save."""
    is_best = False
    try:
        for event in evaluate_and_sample(session, stop):
            yield event
            if isinstance(event, Evaluation) and event.is_best:
                found, is_best = event, True
    except KeyboardInterrupt:
        if stop.is_now or not stop.is_asked:
            raise
        # Broken off: whoever goes on from here begins with it.
        is_best = False
    else:
        session.eval_pending = False
        session.best = found if is_best else session.best
    if is_best or stop.is_asked or session.is_due(session.settings.checkpoint_interval):
        session.save(best=is_best)
    else:
        session.directory.check()


def evaluate_and_sample(session: Session, stop: Stop) -> Iterator[Evaluation | Sample]:
    """Yield the evaluation and the sample that are due after a step."""
    if session.is_due(session.settings.eval_interval):
        with stop.breakable():
            reach("evaluate")
            evaluation = evaluate(session.prepared, session.step, session.best)
        if not math.isfinite(evaluation.validation_loss):
            raise NumericsError(
                f"after step {session.step}: the validation loss is {evaluation.validation_loss:g}"
            )
        session.directory.metrics.append(vars(evaluation))
        yield evaluation
    if session.is_due(session.settings.sample_interval):
        with stop.breakable():
            reach("sample")
            sample = Sample(session.step, write_sample(session.prepared, session.step))
        session.directory.write_sample(sample.step, sample.text)
        yield sample


def metrics(step: Step, rate: float) -> dict[str, Any]:
    """Return a step's row of metrics."""
    return {
        "step": step.number,
        "loss": float(step.loss),
        "learning_rate": step.learning_rate,
        "tokens_per_second": round(rate),
    }


def evaluate(prepared: PreparedRun, step: int, best: Evaluation | None) -> Evaluation:
    """Return the losses after a step."""
    model, data = prepared.model, prepared.data
    validation = validation_loss(model, data.validation)
    data.release()
    return Evaluation(
        step=step,
        train_loss=train_loss(model, data.train),
        validation_loss=validation,
        bits_per_character=validation / math.log(2) / data.characters_per_token,
        is_best=best is None or validation < best.validation_loss,
    )


def write_sample(prepared: PreparedRun, step: int) -> str:
    """Return what the model writes after a step."""
    tokenizer = prepared.tokenizer
    seed = prepared.resolved.train.seed
    pieces = stream_text(
        prepared.model, tokenizer, default_prompt(tokenizer), SAMPLE_TOKENS, seed=seed, sample_index=step
    )
    return "".join(pieces)
