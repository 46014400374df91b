"""Programs about letters and words."""

from __future__ import annotations

import re

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found, literal


def _spell_backward(text: str) -> Codes:
    return filled(
        {
            "direct": "print(WORD[::-1])",
            "library": 'print("".join(reversed(WORD)))',
            "loop": """
                backward = ""
                for letter in WORD:
                    backward = letter + backward
                print(backward)
            """,
        },
        word=literal(found(r"\): (.+)$", text)[1]),
    )


def _letter_counting(text: str) -> Codes:
    letter, words = found(r'letter "(.)" appear in the text: "(.*)"\?', text).groups()
    return filled(
        {
            "direct": "print(TEXT.lower().count(LETTER))",
            "letters": "text = TEXT\nprint(sum(c == LETTER for c in text.lower()))",
            "library": "from collections import Counter\nprint(Counter(TEXT.lower())[LETTER])",
        },
        letter=literal(letter),
        text=literal(words),
    )


def _word_sorting(text: str) -> Codes:
    order, listed = found(r"these words in (ascending|descending) order.*list: (.+)$", text).groups()
    words = literal(listed.strip().split(", "))
    reverse = "reverse=True" if order == "descending" else ""
    return filled(
        {
            "direct": 'print(", ".join(sorted(ARGUMENTS)))',
            "variables": """
                words = WORDS
                words.sort(REVERSE)
                print(", ".join(words))
            """,
        },
        words=words,
        reverse=reverse,
        arguments=", ".join(filter(None, (words, reverse))),
    )


def _word_sequence_reversal(text: str) -> Codes:
    return filled(
        {
            "direct": 'print(", ".join(WORDS[::-1]))',
            "library": 'print(", ".join(reversed(WORDS)))',
            "variables": """
                words = WORDS
                words.reverse()
                print(", ".join(words))
            """,
        },
        words=literal(found(r"this list of words: (.+)$", text)[1].strip().split(", ")),
    )


def _isomorphic_strings(text: str) -> Codes:
    first, second = found(r"^(\S+) (\S+)$", text).groups()
    return filled(
        {
            "pairs": """
                s, t = "FIRST", "SECOND"
                print(len(set(zip(s, t))) == len(set(s)) == len(set(t)))
            """,
            "index": """
                s, t = "FIRST", "SECOND"
                print([s.index(c) for c in s] == [t.index(c) for c in t])
            """,
        },
        first=first,
        second=second,
    )


def _ransom_note(text: str) -> Codes:
    return filled(
        {
            "library": """
                from collections import Counter
                note = "NOTE"
                magazine = "MAGAZINE"
                print(Counter(note) <= Counter(magazine))
            """,
            "letters": """
                note = "NOTE"
                magazine = "MAGAZINE"
                print(all(note.count(c) <= magazine.count(c) for c in note))
            """,
        },
        note=found(r"Ransom note: (\w+)$", text)[1],
        magazine=found(r"Magazine: (\w+)$", text)[1],
    )


def _group_anagrams(text: str) -> Codes:
    return filled(
        {
            "dictionary": """
                import json
                groups = {}
                for word in WORDS:
                    groups.setdefault("".join(sorted(word)), []).append(word)
                print(json.dumps(list(groups.values())))
            """,
            "library": """
                import json
                from itertools import groupby
                words = sorted(WORDS, key=sorted)
                print(json.dumps([list(group) for _, group in groupby(words, key=sorted)]))
            """,
        },
        words=found(r"^\[.*\]$", text)[0],
    )


def _palindrome_generation(text: str) -> Codes:
    return filled(
        {
            "library": """
                from collections import Counter
                counts = Counter("LETTERS")
                half = "".join(c * (n // 2) for c, n in counts.items())
                middle = "".join(c for c, n in counts.items() if n % 2)
                print(half + middle + half[::-1])
            """,
            "loop": """
                half, single = "", set()
                for c in "LETTERS":
                    if c in single:
                        half += c
                    single ^= {c}
                print(half + "".join(single) + half[::-1])
            """,
        },
        letters=found(r"following letters: (.+)$", text)[1].replace(", ", "").strip(),
    )


def _palindrome_partitioning(text: str) -> Codes:
    return filled(
        {
            "recursive": """
                import json
                def parts(s):
                    if not s:
                        return [[]]
                    cuts = [i for i in range(1, len(s) + 1) if s[:i] == s[:i][::-1]]
                    return [[s[:i]] + rest for i in cuts for rest in parts(s[i:])]
                print(json.dumps(parts("WORD")))
            """,
            "dynamic_programming": """
                import json
                s = "WORD"
                parts = [[[]]]
                for end in range(1, len(s) + 1):
                    parts.append([])
                    for i in range(end):
                        piece = s[i:end]
                        if piece == piece[::-1]:
                            parts[end] += [p + [piece] for p in parts[i]]
                print(json.dumps(parts[-1]))
            """,
        },
        word=found(r"into palindromes: (\w+)$", text)[1],
    )


def _binary_alternation(text: str) -> Codes:
    return filled(
        {
            "brute_force": """
                s = "BITS"
                swaps = []
                for pair in ("01", "10"):
                    goal = (pair * len(s))[: len(s)]
                    if goal.count("1") == s.count("1"):
                        swaps.append(sum(a != b for a, b in zip(s, goal)) // 2)
                print(min(swaps, default=-1))
            """,
            # Half of the positions have a fixed bit; each wrong one there is swapped with one elsewhere.
            "parity": """
                s = "BITS"
                ones, zeros = s.count("1"), s.count("0")
                even, odd = s[::2].count("1"), s[1::2].count("1")
                if abs(ones - zeros) > 1:
                    print(-1)
                elif ones == zeros:
                    print(min(even, odd))
                else:
                    print(odd if ones > zeros else even)
            """,
        },
        bits=found(r"string alternating: ([01]+)$", text)[1],
    )


def _ab(text: str) -> Codes:
    return filled(
        {
            "stepwise": """
                s = "TOKENS".replace(" ", "")
                while "##" in s:
                    s = s.replace("A##A", "").replace("B##B", "")
                    s = s.replace("A##B", "#BA#").replace("B##A", "#AB#")
                print(" ".join(s[i : i + 2] for i in range(0, len(s), 2)))
            """,
            # "#B" moves left past every "A#" and disappears with the first "B#".
            "stack": """
                left, right = [], []
                for token in "TOKENS".split():
                    if token[1] == "#":
                        right.insert(0, token)
                    elif token[::-1] in right:
                        right.remove(token[::-1])
                    else:
                        left.append(token)
                print(*left, *reversed(right))
            """,
        },
        tokens=found(r"following program:\s+([AB# ]+)$", text)[1],
    )


def _emoji_mystery(text: str) -> Codes:
    return filled(
        {
            "direct": """
                text = TEXT
                print(bytes(ord(c) - 0xE0100 + 16 for c in text[1:]).decode())
            """,
            "loop": """
                data = []
                for c in TEXT[1:]:
                    data.append(ord(c) - 0xE0100 + 16)
                print(bytes(data).decode("utf-8"))
            """,
        },
        text=literal(found(r"from the emoji: (\S+)$", text)[1]),
    )


_RULES = {
    "prefix is 'ab', replace it with 'ca'": ('s.startswith("ab")', '"ca" + s[2:]'),
    "suffix is 'ac', replace it with 'cb'": ('s.endswith("ac")', 's[:-2] + "cb"'),
    "prefix is 'bc', delete the first two characters and append 'aa' to the end": (
        's.startswith("bc")',
        's[2:] + "aa"',
    ),
    "suffix is 'bb', delete the last two characters": ('s.endswith("bb")', "s[:-2]"),
    "prefix is 'cb', replace it with 'aa' and delete the last character": ('s.startswith("cb")', '"aa" + s[2:-1]'),
    "prefix is 'ca', replace it with 'bb' and append 'c' to the end": ('s.startswith("ca")', '"bb" + s[2:] + "c"'),
    "suffix is 'cc', replace it with 'b' and prepend 'a' to the start": ('s.endswith("cc")', '"a" + s[:-2] + "b"'),
    "prefix is 'aa', remove the first character": ('s.startswith("aa")', "s[1:]"),
    "contains 'abc', replace the first occurrence with 'cab'": ('"abc" in s', 's.replace("abc", "cab", 1)'),
    "contains 'bca', delete the first occurrence entirely": ('"bca" in s', 's.replace("bca", "", 1)'),
    "ends with 'ba', replace it with 'ab'": ('s.endswith("ba")', 's[:-2] + "ab"'),
    "starts with 'cc', remove the first two characters": ('s.startswith("cc")', "s[2:]"),
    "contains 'acb', replace the first occurrence with its reverse ('bca')": (
        '"acb" in s',
        's.replace("acb", "bca", 1)',
    ),
    "ends with 'ca', remove the last character": ('s.endswith("ca")', "s[:-1]"),
    "starts with 'bb', remove the second character": ('s.startswith("bb")', "s[0] + s[2:]"),
    "ends with 'aa', replace it with 'cc'": ('s.endswith("aa")', 's[:-2] + "cc"'),
    "contains 'ca' (not at the start), remove the first occurrence found after the first character": (
        '"ca" in s[1:]',
        's[0] + s[1:].replace("ca", "", 1)',
    ),
    "contains an even number of 'b's (and at least one 'b'), append 'ab' at the end": (
        's.count("b") % 2 == 0 and "b" in s',
        's + "ab"',
    ),
    "length is greater than 15, remove the middle character": (
        "len(s) > 15",
        "s[: len(s) // 2] + s[len(s) // 2 + 1 :]",
    ),
    "starts with 'ac', replace the first two characters with 'zz'": ('s.startswith("ac")', '"zz" + s[2:]'),
}
"""Condition and result of every rule of ``string_manipulation``."""


def _string_manipulation(text: str) -> Codes:
    rules = [_RULES.get(rule) for rule in re.findall(r"^\d+\. If the string (.+)\.$", text, re.MULTILINE)]
    known = [rule for rule in rules if rule]
    if len(known) < len(rules):
        raise ValueError("an unknown rule")
    return filled(
        {
            "function": """
                def step(s):
                RULES
                    return s
                s, seen = "STRING", []
                while s not in seen:
                    seen.append(s)
                    s = step(s)
                print(seen[-1])
            """,
            "loop": """
                s, seen = "STRING", []
                while s not in seen:
                    seen.append(s)
                BRANCHES
                print(seen[-1])
            """,
        },
        rules="\n".join(f"    if {condition}:\n        return {result}" for condition, result in known),
        branches="\n".join(
            f"    {'elif' if i else 'if'} {condition}:\n        s = {result}"
            for i, (condition, result) in enumerate(known)
        ),
        string=found(r"^([a-z]+)$", text)[1],
    )


PROGRAMS: Programs = {
    "ab": _ab,
    "binary_alternation": _binary_alternation,
    "emoji_mystery": _emoji_mystery,
    "group_anagrams": _group_anagrams,
    "isomorphic_strings": _isomorphic_strings,
    "letter_counting": _letter_counting,
    "palindrome_generation": _palindrome_generation,
    "palindrome_partitioning": _palindrome_partitioning,
    "ransom_note": _ransom_note,
    "spell_backward": _spell_backward,
    "string_manipulation": _string_manipulation,
    "word_sequence_reversal": _word_sequence_reversal,
    "word_sorting": _word_sorting,
}
