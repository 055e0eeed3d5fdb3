"""The main job: trains, evaluates, samples and saves, and tells what happens as a stream of events."""

import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from gptkit.dry_step import dry_step
from gptkit.errors import CheckpointError, NumericsError, PluginError
from gptkit.evaluate import train_loss, validation_loss
from gptkit.events import Estimate, Evaluation, Finished, Sample, Stopped
from gptkit.experiment import Experiment
from gptkit.failure import after_saving
from gptkit.faults import reach
from gptkit.hardware import make_deterministic, return_memory_at_once
from gptkit.session import Session
from gptkit.stop import Stop
from gptkit.text import default_prompt, write
from gptkit.train import Step

SAMPLE_TOKENS = 500
# The first step also warms up; the median of the nine after it is steady to a few percent.
STEPS_TO_MEASURE = 10

Event = Step | Estimate | Evaluation | Sample | Stopped | Finished


def run(experiment: Experiment, stop: Stop | None = None) -> Iterator[Event]:
    """Train the model of an experiment and yield what happens; all of it goes to the run directory too.

    Args:
        stop: Asks the run to stop, from outside.

    Raises:
        NumericsError: If a loss, a gradient or a weight is not finite; nothing is saved of it.
        CheckpointError: If something cannot be saved.
        PluginError: If a stranger's part fails; what was reached before is saved first.
    """
    began = time.perf_counter()
    stop = stop or Stop()
    if experiment.resolved.train.deterministic:
        make_deterministic()
    if experiment.resolved.train.checkpoint_activations and experiment.device.value.type == "cpu":
        return_memory_at_once()
    with stop.breakable():
        dry_step(experiment.model.to(experiment.device.value), experiment.resolved, experiment.dtype.value)
        session = Session(experiment)
    try:
        yield from steps(session, stop)
        session.directory.wait()
    except NumericsError as error:
        raise NumericsError(f"{error}. {session.last_good()}, and it is as it was") from error
    except (CheckpointError, PluginError):
        raise
    except Exception as error:
        raise after_saving(session, error) from error
    finally:
        session.close(at_once=stop.is_now)
    if session.is_over and not session.is_owed:
        assert session.best is not None, "the last step is evaluated, and the first evaluation is the best so far"
        yield Finished(session.best, time.perf_counter() - began)
    else:
        yield Stopped(session.step)


def steps(session: Session, stop: Stop) -> Iterator[Event]:
    """Yield what happens up to the last step, or the step after which the run is asked to stop."""
    settings = session.settings
    durations: list[float] = []
    if session.is_owed:
        yield from after_step(session, stop)
    for step in () if stop.is_asked else session.steps():
        yield step
        if len(durations) < STEPS_TO_MEASURE:
            durations.append(step.seconds)
            if len(durations) == STEPS_TO_MEASURE:
                yield Estimate(median(durations[1:]) * (settings.max_iters - session.first))
        if session.is_due(settings.log_interval):
            session.directory.metrics.append(metrics(step))
        yield from after_step(session, stop)
        if stop.is_asked:
            return


def after_step(session: Session, stop: Stop) -> Iterator[Evaluation | Sample]:
    """Do what is due after a step: evaluate, let the model write, and save."""
    is_best = False
    try:
        for event in looks(session, stop):
            yield event
            if isinstance(event, Evaluation) and event.is_best:
                found, is_best = event, True
    except KeyboardInterrupt:
        if stop.is_now or not stop.is_asked:
            raise
        # Broken off: whoever goes on from here begins with it.
        is_best = False
    else:
        session.is_owed = False
        session.best = found if is_best else session.best
    if is_best or stop.is_asked or session.is_due(session.settings.checkpoint_interval):
        session.save(best=is_best)
    else:
        session.directory.check()


def looks(session: Session, stop: Stop) -> Iterator[Evaluation | Sample]:
    """Yield the evaluation and the sample that are due after a step."""
    if session.is_due(session.settings.eval_interval):
        with stop.breakable():
            reach("evaluate")
            evaluation = evaluate(session.experiment, session.step, session.best)
        if not math.isfinite(evaluation.validation_loss):
            raise NumericsError(
                f"after step {session.step}: the validation loss is {evaluation.validation_loss:g}"
            )
        session.directory.metrics.append(vars(evaluation))
        yield evaluation
    if session.is_due(session.settings.sample_interval):
        with stop.breakable():
            reach("sample")
            sample = Sample(session.step, write_sample(session.experiment, session.step))
        session.directory.write_sample(sample.step, sample.text)
        yield sample


def metrics(step: Step) -> dict[str, Any]:
    """Return a step's row of metrics."""
    return {
        "step": step.number,
        "loss": float(step.loss),
        "learning_rate": step.learning_rate,
        "tokens_per_second": round(step.tokens / step.seconds),
    }


def evaluate(experiment: Experiment, step: int, best: Evaluation | None) -> Evaluation:
    """Return the losses after a step."""
    model, data = experiment.model, experiment.data
    validation = validation_loss(model, data.validation)
    data.release()
    return Evaluation(
        step=step,
        train_loss=train_loss(model, data.train),
        validation_loss=validation,
        bits_per_character=validation / math.log(2) / data.characters_per_token,
        is_best=best is None or validation < best.validation_loss,
    )


def write_sample(experiment: Experiment, step: int) -> str:
    """Return what the model writes after a step."""
    tokenizer = experiment.tokenizer
    seed = experiment.resolved.train.seed
    pieces = write(experiment.model, tokenizer, default_prompt(tokenizer), SAMPLE_TOKENS, seed=seed, sample=step)
    return "".join(pieces)
