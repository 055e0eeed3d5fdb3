"""The law that a part does the same in another process, and what it does there, kind by kind."""

import hashlib
import json
from collections.abc import Callable
from itertools import chain
from reprlib import repr
from typing import Any

import torch

from gptkit.interfaces import Tokenizer
from gptkit.testing.case import Case
from gptkit.testing.input import Input
from gptkit.testing.laws.corpus import NoCase, texts
from gptkit.testing.laws.optimizer import Bowl, BowlCase
from gptkit.testing.laws.schedule import RunCase
from gptkit.testing.laws.tokenizer import TextCase
from gptkit.testing.other_process import ask
from gptkit.testing.subject import Subject
from gptkit.testing.weights import draw_weights

# More letters than two orders of a set have in common by chance.
TEXT = "Sphinx of black quartz, judge my vow; the five boxing wizards jump quickly. "
FIRST_STEPS = 12
Evidence = dict[str, Any]


def is_the_same_in_another_process(build: Callable[..., Any], case: Input) -> None:
    """Assert that a part does the same in another process, with another hash seed, locale and time zone."""
    # What builds the part is a method of the subject, whose class and options the other process needs.
    subject: Subject = build.__self__  # type: ignore[attr-defined]
    expected, saved = evidence(subject, case.to_json())
    found, _ = ask(subject, f"{__name__}:evidence", case.to_json(), json.dumps(saved))
    for name, value in expected.items():
        if found[name] != value:
            raise AssertionError(f"in another process, {name} are {repr(found[name])}, not {repr(value)} ({case})")


def evidence(subject: Subject, case: str, saved: str = "null") -> tuple[Evidence, Any]:
    """Return the behaviour of a part on an input, by name, and its saved state.

    Args:
        saved: What it saved in another process, as JSON.
    """
    of_kind = KINDS.get(subject.kind)
    return of_kind(subject, case, json.loads(saved)) if of_kind else of_module(subject, case)


def of_tokenizer(subject: Subject, case: str, saved: Any) -> tuple[Evidence, Any]:
    """Return the ids of texts, from a tokenizer that is built and one that is restored, and its JSON."""
    each: TextCase = TextCase.from_json(case)
    tokenizer = subject.build([*each.pieces, TEXT])
    part: type[Tokenizer] = subject.part
    restored = tokenizer if saved is None else part.from_json(saved)
    ids = {"its ids": tokenizer.encode(TEXT), "the ids of one restored from JSON": restored.encode(TEXT)}
    return ids, tokenizer.to_json()


def of_corpus(subject: Subject, case: str, _: Any) -> tuple[Evidence, None]:
    """Return the SHA-256 of both texts."""
    assert NoCase.from_json(case) == NoCase()
    read = texts(subject.build)
    return {f"the bytes of the {name} text": digest("".join(pieces).encode()) for name, pieces in read}, None


def of_schedule(subject: Subject, case: str, _: Any) -> tuple[Evidence, None]:
    """Return the factors of steps."""
    each: RunCase = RunCase.from_json(case)
    schedule = subject.build(each.total)
    steps = {each.step, each.total, *range(min(FIRST_STEPS, each.total))}
    return {"its factors": [schedule(step) for step in sorted(steps, reverse=True)]}, None


def of_optimizer(subject: Subject, case: str, _: Any) -> tuple[Evidence, None]:
    """Return the weights after five steps."""
    bowl = Bowl(BowlCase.from_json(case))
    bowl.descend(subject.build().build(bowl.groups), 5)
    return {
        "the weights that it has trained": list(chain(*(weight.flatten().tolist() for weight in bowl.weights)))
    }, None


def of_module(subject: Subject, case: str) -> tuple[Evidence, None]:
    """Return the first weights, which are drawn from one seed, and the output of others."""
    each: Case = Case.from_json(case)
    part: torch.nn.Module = each.build(subject.build)
    first = {name: digest(weight.contiguous().numpy().tobytes()) for name, weight in part.state_dict().items()}
    draw_weights(part, each)
    with torch.no_grad():
        output = part(each.x())
    return {
        "the initial weights": first,
        "the numbers of its output": [f"{y:.9g}" for y in output.flatten().tolist()],
    }, None


def digest(content: bytes) -> str:
    """Return the first digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


KINDS: dict[str, Callable[[Subject, str, Any], tuple[Evidence, Any]]] = {
    "tokenizer": of_tokenizer,
    "corpus": of_corpus,
    "schedule": of_schedule,
    "optimizer": of_optimizer,
}
