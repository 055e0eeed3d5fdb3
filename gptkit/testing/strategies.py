"""Hypothesis strategies of inputs: the shapes, scales and texts at which parts break."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gptkit.testing.case import Case
from gptkit.testing.declared_limits import declared_limits
from gptkit.testing.laws.corpus import NoCase
from gptkit.testing.laws.optimizer import BowlCase
from gptkit.testing.laws.schedule import RunCase
from gptkit.testing.laws.tokenizer import TextCase
from gptkit.testing.subject import Subject

# Gives the strategy of a check's inputs for a part.
Inputs = Callable[[Subject], st.SearchStrategy[Any]]

# One token, primes, and lengths on both sides of kernels' block sizes.
TIMES = (1, 2, 3, 5, 7, 8, 13, 16, 16, 17, 31, 32, 33)
LONG_TIMES = (64, 65, 127, 128, 129)
LARGE_TIMES = (65, 100, 129)
EARLIER = (0, 0, 0, 1, 2, 5, 16, 19)
FAR_EARLIER = (255, 1023, 2047)
MASK_AXES = (None, None, "T S", "B 1 T S", "1 H T S", "B H T S")
# Wider heads take longer and find no more, but some parts support only those.
ORDINARY_WIDTH = 33


def cases(
    subject: Subject, sizes: list[tuple[int, int]] | None = None, **given: st.SearchStrategy[Any]
) -> st.SearchStrategy[Case]:
    """Return a strategy of cases for which a part can be built.

    Args:
        sizes: Pairs of a number of heads and a head width; by default all that are not too wide.
        given: Strategies of single fields of `Case`, which replace the ones here.
    """
    sizes = sizes or [size for size in subject.sizes if size[1] <= ORDINARY_WIDTH] or subject.sizes
    fields: dict[str, st.SearchStrategy[Any]] = {
        "B": st.sampled_from((1, 2, 3, 5)),
        "T": st.sampled_from(TIMES),
        "scale": st.floats(0.02, 4),
        "strided": st.booleans(),
        "options": options_of(subject),
        "spare": st.sampled_from((3, 0)),
        "seed": st.integers(0, 2**31 - 1),
        "device": st.just(subject.device),
    }
    return st.sampled_from(sizes).flatmap(
        lambda size: st.builds(Case, **({"H": st.just(size[0]), "D": st.just(size[1])} | fields | given))
    )


def small_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of few tokens, for checks that make a pass for each token."""
    return cases(subject, **({"T": st.integers(1, 9)} | given))


def broad_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of several tokens and channels, for checks that mean nothing with fewer."""
    sizes = [(H, D) for H, D in subject.sizes if D >= 2 and 4 <= H * D <= 66] or subject.sizes
    return cases(subject, sizes, **({"B": st.integers(2, 3), "T": st.integers(3, 9)} | given))


def large_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of many heads and of more tokens than one tile of a kernel or chunk of a loop holds."""
    sizes = subject.large_sizes or subject.sizes
    return cases(subject, sizes, **({"B": st.integers(1, 2), "T": st.sampled_from(LARGE_TIMES)} | given))


def huge_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of inputs so large that scores are millions, and a mask of -10,000 hides nothing."""
    return broad_cases(subject, **({"scale": st.floats(1e3, 1e4)} | given))


def attended_cases(
    subject: Subject, sizes: list[tuple[int, int]] | None = None, **given: st.SearchStrategy[Any]
) -> st.SearchStrategy[Case]:
    """Return a strategy of cases with earlier keys, and with the masks and positions that the part can take."""
    limits = declared_limits(subject)
    more: dict[str, st.SearchStrategy[Any]] = {
        "earlier": st.sampled_from(EARLIER),
        "mask_axes": st.none() if "a mask" in limits else st.sampled_from(MASK_AXES),
        "rotated": st.just(False) if "a position that rotates" in limits else st.booleans(),
    }
    return cases(subject, sizes, **(more | given))


def long_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of more tokens than one block of a kernel holds, with wide heads."""
    # Few of the widest: projecting them takes most of the time, and is not what is tried.
    sizes = [(H, D) for H, D in subject.sizes if D in (32, 64, 128) and H * D <= 192] or subject.sizes
    return attended_cases(subject, sizes, **({"B": st.just(1), "T": st.sampled_from(LONG_TIMES)} | given))


def far_cases(subject: Subject, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of one or two tokens after many keys, where sums are long."""
    few = {"B": st.just(1), "T": st.integers(1, 2), "earlier": st.sampled_from(FAR_EARLIER)}
    return attended_cases(subject, **(few | given))


def options_of(subject: Subject) -> st.SearchStrategy[tuple[tuple[str, int], ...]]:
    """Return a strategy of options that differ from their defaults."""
    each = (
        st.sampled_from([None, *((name, value) for value in values)])
        for name, values in subject.variations.items()
    )
    return st.tuples(*each).map(lambda drawn: tuple(option for option in drawn if option))


def texts(_: Subject) -> st.SearchStrategy[TextCase]:
    """Return a strategy of texts, half of them from the characters that the tokenizer was built from."""
    # All three line endings, blanks, and an accented letter as one code point and as two.
    awkward_piece = st.sampled_from(["\r\n", "\r", "\n", " ", "\t", "a", "e\u0301", "\u00e9", "\u0301"])
    awkward = st.lists(awkward_piece, max_size=6).map("".join)
    any_text = st.text(max_size=12) | awkward
    return st.lists(any_text, min_size=1, max_size=3).flatmap(
        lambda pieces: st.builds(
            TextCase,
            pieces=st.just(tuple(pieces)),
            text=any_text | st.text(alphabet=sorted(set("".join(pieces))) or ["a"], max_size=12),
        )
    )


def broken_texts(subject: Subject) -> st.SearchStrategy[TextCase]:
    """Return a strategy of texts that hold halves of surrogate pairs, as a prompt that is not UTF-8 does."""
    halves = st.lists(st.sampled_from(["\ud83d", "\ude00", "a", "\n"]), min_size=1, max_size=6).map("".join)
    return st.builds(replace, texts(subject), text=halves)


def texts_of_many_characters(_: Subject) -> st.SearchStrategy[TextCase]:
    """Return a strategy of texts of more characters than a byte counts."""
    letters = st.integers(0x20, 0x2000).map(lambda first: "".join(map(chr, range(first, first + 300))))
    return letters.flatmap(lambda text: st.builds(TextCase, pieces=st.just((text,)), text=st.just(text[::-1])))


def bowls(_: Subject) -> st.SearchStrategy[BowlCase]:
    """Return a strategy of convex losses."""
    sizes = st.integers(2, 9)
    return st.builds(BowlCase, rows=sizes, columns=sizes, seed=st.integers(0, 2**31 - 1))


def unusual_bowls(_: Subject) -> st.SearchStrategy[BowlCase]:
    """Return a strategy of convex losses of weights with one row or many axes, or with none of a kind."""
    return st.builds(
        BowlCase,
        rows=st.integers(1, 4),
        columns=st.integers(1, 4),
        more_rows=st.integers(0, 3),
        axes=st.integers(2, 4),
        left_out=st.sampled_from(("", "matrices", "embeddings", "vectors")),
        scalar=st.booleans(),
        seed=st.integers(0, 2**31 - 1),
    )


def packed_bowls(_: Subject) -> st.SearchStrategy[BowlCase]:
    """Return a strategy of convex losses whose two matrices can be stacked."""
    sizes, more = st.integers(2, 6), st.integers(0, 4)
    return st.builds(BowlCase, rows=sizes, columns=sizes, more_rows=more, seed=st.integers(0, 2**31 - 1))


def runs(_: Subject) -> st.SearchStrategy[RunCase]:
    """Return a strategy of runs, from one step to thousands."""
    return st.builds(RunCase, total=st.integers(1, 12) | st.integers(1, 10_000), share=st.floats(0, 1))


def long_runs(_: Subject) -> st.SearchStrategy[RunCase]:
    """Return a strategy of runs of more steps than 10,000, and than 16 bits count."""
    totals = st.sampled_from((10_001, 40_000, 70_000, 100_000, 1_000_000)) | st.integers(10_001, 2_000_000)
    return st.builds(RunCase, total=totals, share=st.floats(0, 1))


def no_input(_: Subject) -> st.SearchStrategy[NoCase]:
    """Return the strategy of a corpus's input, of which there is one."""
    return st.just(NoCase())
