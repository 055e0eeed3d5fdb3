"""The main job: trains, evaluates, samples and saves, and tells what happens as a stream of events."""

import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from gptkit.evaluate import train_loss, validation_loss
from gptkit.events import Estimate, Evaluation, Finished, Sample
from gptkit.experiment import Experiment
from gptkit.hardware import make_deterministic
from gptkit.text import default_prompt, write
from gptkit.train import Step, train

SAMPLE_TOKENS = 500
# The first step also warms up; the median of the nine after it is steady to a few percent.
STEPS_TO_MEASURE = 10

Event = Step | Estimate | Evaluation | Sample | Finished


def run(experiment: Experiment) -> Iterator[Event]:
    """Train the model of an experiment and yield what happens; all of it goes to the run directory too."""
    began = time.perf_counter()
    settings, data, device = experiment.resolved.train, experiment.data, experiment.device.value
    if settings.deterministic:
        make_deterministic()
    directory = experiment.create_directory()
    model = experiment.model.to(device)
    optimizer = experiment.assembler.optimizer().build(model.parameter_groups())
    schedule = experiment.assembler.schedule()
    tokens = data.train.to(device)
    best: Evaluation | None = None
    durations: list[float] = []
    try:
        for step in train(model, tokens, optimizer, schedule, settings, dtype=experiment.dtype.value):
            yield step
            is_last = step.number == settings.max_iters
            if len(durations) < STEPS_TO_MEASURE:
                durations.append(step.seconds)
                if len(durations) == STEPS_TO_MEASURE:
                    yield Estimate(median(durations[1:]) * settings.max_iters)
            if is_last or is_due(step.number, settings.log_interval):
                directory.log(metrics(step))
            if is_last or is_due(step.number, settings.eval_interval):
                evaluation = evaluate(experiment, step.number, best)
                directory.log(vars(evaluation))
                yield evaluation
                if evaluation.is_best:
                    best = evaluation
                    directory.save(step.number, model, vars(evaluation), best=True)
            if is_last or is_due(step.number, settings.sample_interval):
                sample = Sample(step.number, write_sample(experiment, step.number))
                directory.write_sample(sample.step, sample.text)
                yield sample
            if is_last or is_due(step.number, settings.checkpoint_interval):
                directory.save(step.number, model, {"step": step.number}, best=False)
    finally:
        directory.draw()
    assert best is not None, "the last step is evaluated, and the first evaluation is the best so far"
    yield Finished(best, time.perf_counter() - began)


def is_due(step: int, interval: int) -> bool:
    """Return whether something that is done every so many steps is done after this one; 0 is never."""
    return interval > 0 and step % interval == 0


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
    model, data, device = experiment.model, experiment.data, experiment.device.value
    validation = validation_loss(model, data.validation.to(device))
    return Evaluation(
        step=step,
        train_loss=train_loss(model, data.train.to(device)),
        validation_loss=validation,
        bits_per_character=validation / math.log(2) / data.characters_per_token,
        is_best=best is None or validation < best.validation_loss,
    )


def write_sample(experiment: Experiment, step: int) -> str:
    """Return a text that the model writes after a step."""
    tokenizer = experiment.tokenizer
    seed = experiment.resolved.train.seed
    pieces = write(experiment.model, tokenizer, default_prompt(tokenizer), SAMPLE_TOKENS, seed=seed, sample=step)
    return "".join(pieces)
