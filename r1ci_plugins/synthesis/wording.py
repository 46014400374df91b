"""The sentences of trajectories that are made without a model: short, varied, and true of what happens in them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HOW: Mapping[str, str] = {
    "direct": "directly, step by step",
    "function": "with a small function",
    "library": "with what the standard library offers",
    "brute_force": "by trying every candidate",
    "recursive": "recursively",
    "recursion": "recursively",
    "iterative": "with a loop and an explicit stack",
    "loop": "with a plain loop",
    "dynamic_programming": "with dynamic programming",
    "reduction": "by reducing it piece by piece",
    "rewriting": "by rewriting the expression until one value is left",
    "parser": "with a small parser",
    "stack": "with a stack",
    "erasing": "by erasing what cancels out",
    "permutations": "by going through all orders",
    "backtracking": "with backtracking",
    "filtering": "by filtering all possibilities",
    "propagation": "by following each statement to the next",
    "parity": "by looking at parity alone",
    "breadth_first": "with a breadth-first search",
    "best_first": "with a best-first search",
    "exact_cover": "as an exact cover",
    "elimination": "by elimination",
    "joining": "by joining partial assignments",
    "product": "over the product of all choices",
    "dictionary": "with a dictionary that holds the state",
    "lists": "with lists that hold the state",
    "backwards": "by tracing it backwards",
    "coordinates": "with coordinates",
    "complex": "with complex numbers as positions",
    "complex_numbers": "with complex numbers as positions",
    "counters": "with one counter for each direction",
    "stepwise": "one operation at a time",
    "steps": "one operation at a time",
    "stepping": "by stepping from day to day",
    "timedelta": "with date arithmetic",
    "ordinal": "with ordinal day numbers",
    "insertion": "by inserting one item after the other",
    "merge": "with a merge sort",
    "rows": "row by row",
    "index": "by index",
    "exact": "in exact arithmetic",
    "variables": "with a name for each value",
    "letters": "letter by letter",
    "multiples": "by trying one multiple after the other",
    "layers": "layer by layer",
    "sieve": "with a sieve",
    "parts": "with real and imaginary parts apart",
    "pairs": "by looking at pairs",
    "divisor": "with the greatest common divisor",
    "substitution": "by putting in values",
    "rounding": "with rounding at the end",
    "format": "with string formatting",
    "translation": "by translating it into Python",
}

_OPENINGS = (
    "The question can be settled by computing.",
    "Everything that is needed is in the question.",
    "This is error-prone by hand, so I let Python do it.",
    "A short program is safer here than counting in my head.",
    "I will put the data of the question into a program.",
    "Let me work this out with code.",
    "Doing this by hand invites slips; a program does not mind.",
    "The rules are precise enough to be written down as code.",
    "I start by turning the question into data.",
    "This is a job for a few lines of Python.",
)
_METHODS = (
    "I will go about it {how}.",
    "The plan: solve it {how}.",
    "It can be done {how}.",
    "I solve it {how}.",
    "My way is to do it {how}.",
    "One way is to work {how}.",
)
_THOUGHTS = (
    "First, what is given: the values in the question, nothing else.",
    "What is asked is one final answer in the stated form.",
    "I have to keep to the form that the question asks for.",
    "The order of the steps matters, so I keep it as it is stated.",
    "Before coding I make sure what counts and what does not.",
    "No rounding or guessing is needed; each step is determined.",
    "The amount of work is small for a machine.",
    "A mistake would most likely come from an off-by-one or a slip in copying, so I copy the data exactly.",
    "Whatever the program prints has to be the answer itself, so that I can use it as it is.",
)
# Before the first program, where it should come at once.
CODE_FIRST = ("", "", "Code first:", "Straight to the program:", "Here is the program.", "Let the program speak.")
# Before a second program.
CHECKS = (
    "To be sure I check this {how}.",
    "The output is plausible; a second program, {how}, should agree.",
    "Before I answer, let me confirm it {how}.",
    "I do not want to rely on one program. The same {how}:",
    "Let me verify this in another way: {how}.",
    "A result like this deserves a second look, this time {how}.",
)
# Before a second program that takes another approach.
SWITCHES = (
    "So far I relied on one means. Now I change it: the same question {how}.",
    "I switch to another approach and solve it {how}.",
    "Thinking about the output, I see no contradiction with the question; still, I redo it {how}.",
    "Enough of the first approach. I start over {how}, without using its result.",
)
# After a traceback, whose last line is the error.
REPAIRS = (
    "It failed with `{error}`: {slip}. Corrected:",
    "`{error}`, because {slip}. Here is the fixed program:",
    "The traceback ends in `{error}`. The cause: {slip}. Again, without the mistake:",
    "That did not run (`{error}`). I see why: {slip}.",
    "`{error}`. My mistake: {slip}. I repair that line and leave the rest as it is.",
)
# After a program that printed nothing.
SILENCES = (
    "Nothing was printed: {slip}. Again:",
    "There is no output to read, for {slip}. Corrected:",
    "The program ran and stayed silent: {slip}.",
)
# After a second program that printed something else.
DISAGREEMENTS = (
    "The two programs disagree. Reading the first one again, {slip}. With that corrected:",
    "Two different results, so at least one program is wrong. In the first, {slip}. I fix it and run it again:",
    "They do not match. The first has a mistake: {slip}. Corrected:",
    "A mismatch. I compare the two line by line: {slip}. The first program without that:",
)
# After a second program that printed the same.
AGREEMENTS = (
    "Both ways give the same result.",
    "The second program agrees with the first.",
    "The results match.",
    "Two independent programs say the same, so I am confident.",
    "Confirmed.",
)
# After a second program that printed another solution of a question that has several.
BOTH_VALID = (
    "The second program found another solution; several are valid here, and I keep the one just printed.",
    "The two solutions differ, which is fine where several are allowed. I take the last one.",
)
# Before the final answer.
ANSWERS = (
    "The answer is",
    "Final answer:",
    "So the answer is",
    "The program printed what is asked for:",
    "That gives",
    "Hence:",
    "The result is",
    "I read the answer off the output:",
)
# Before a final answer that no program led to.
TEXT_ANSWERS = (
    "This needs no program. I would say",
    "Reading the question closely is enough here. My answer:",
    "No computation is involved; it comes down to understanding the text. I answer",
    "Code would not help with this one. The answer is",
    "Thinking it through in words, I arrive at",
    "This can be answered from the text alone:",
)
# Before a final answer without a program, where a program would have been possible.
IN_THE_HEAD = (
    "This one is small enough to do in my head. The answer is",
    "I work it out in words, without a program, and get",
    "Going through it step by step in my head, I arrive at",
    "I can see this one directly. The answer is",
    "No program this time; thinking it through gives",
    "Done by hand, this gives",
)


@dataclass(frozen=True)
class Wording:
    """Chooses sentences; the same state of the generator gives the same sentences.

    Attributes:
        rng: Decides.
        terse: Whether a first program and a final answer come without sentences.
    """

    rng: random.Random
    terse: bool

    def opening(self, style: str) -> str:
        """Before the first program, where the prompt does not say how to begin."""
        if self.terse:
            return ""
        parts = []
        if self.rng.random() < 0.7:
            parts.append(self.say(_OPENINGS))
        if not parts or self.rng.random() < 0.6:
            parts.append(self.say(_METHODS, how=how(style)))
        return " ".join(parts)

    def deliberation(self, style: str) -> str:
        """Before the first program, when thinking comes first."""
        if self.terse:
            return ""
        thoughts = self.rng.sample(_THOUGHTS, self.rng.randint(2, 4))
        return " ".join([self.say(_OPENINGS), *thoughts, self.say(_METHODS, how=how(style))])

    def say_unless_terse(self, sentences: Sequence[str]) -> str:
        """One of the sentences that introduce a first program or a final answer; it may be empty."""
        return "" if self.terse else self.say(sentences)

    def say(self, sentences: Sequence[str], **values: str) -> str:
        """One of several sentences, with values in its places."""
        # Not str.format: an error or a slip may hold braces, and values must not be filled into each other.
        text, *fields = self.rng.choice(sentences).split("{")
        for field in fields:
            name, rest = field.split("}", 1)
            text += values[name] + rest
        return text


def how(style: str) -> str:
    """A style as an adverbial phrase."""
    return _HOW.get(style, f"in another style ({style.replace('_', ' ')})")
