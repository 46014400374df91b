"""The 84 data sets of reasoning-gym that the pack offers: what each asks, how it is checked, which levels it has.

This table is all that the pack knows about single data sets, so that listing the tasks does not import the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from r1ci_tasks_reasoning_gym import checks


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes:
        description: One sentence.
        check: How an answer is judged.
        levels: Levels of the library's curriculum, easiest first; a task's difficulty is a position in it. Left out
            are levels that the library rejects, that make the same question every time, whose questions exceed
            10,000 characters, or that take half a second and more for a question, some of them minutes. Empty where
            the library has no curriculum: difficulty 0 is then its default configuration.
        keys: What the check needs of an entry's metadata.
    """

    description: str
    check: checks.Check
    levels: Sequence[int] = ()
    keys: Sequence[str] = ()


DATASETS: dict[str, Dataset] = {
    "ab": Dataset("Rewrite a string of A and B tokens by exchange rules to its final state.", checks.text, range(4)),
    "acre": Dataset(
        "Decide from experiments whether objects switch a detector on, off, or leave it undetermined.", checks.word
    ),
    "advanced_geometry": Dataset(
        "Find an orthocenter, an incircle radius or an angle of a triangle given by coordinates.",
        checks.geometry,
        range(4),
        keys=("task_type", "angle_ABC_degrees", "orthocenter_approx", "incircle_radius_approx"),
    ),
    "aiw": Dataset(
        "Answer Alice-in-Wonderland riddles about siblings, friends and colleagues.", checks.number, range(9)
    ),
    "arc_1d": Dataset("Infer a rule from one-dimensional grids and apply it.", checks.sequence, range(4)),
    "base_conversion": Dataset("Convert a number between two bases.", checks.word, range(5)),
    "basic_arithmetic": Dataset("Evaluate an arithmetic expression with integers.", checks.number, range(5)),
    "bf": Dataset("Tell the output of a Brainf*ck program.", checks.text, range(2)),
    "binary_alternation": Dataset("Count the swaps that make a binary string alternate.", checks.number, range(4)),
    "binary_matrix": Dataset(
        "Find each cell's distance to the nearest 0 in a binary matrix.", checks.matrix, range(3)
    ),
    "bitwise_arithmetic": Dataset(
        "Evaluate an expression of hexadecimal numbers, shifts and arithmetic.", checks.hexadecimal, range(10)
    ),
    "caesar_cipher": Dataset("Decrypt a text whose letters are shifted by an unknown amount.", checks.word, range(2)),
    "calendar_arithmetic": Dataset(
        "Answer questions about dates, weekdays and leap years.", checks.number_or_word, range(4)
    ),
    "chain_sum": Dataset("Evaluate a chain of additions and subtractions.", checks.number, range(11)),
    "circuit_logic": Dataset("Evaluate a logic circuit drawn in characters.", checks.number, range(2)),
    "color_cube_rotation": Dataset("Track the colours of a cube's sides through rotations.", checks.word, range(5)),
    "complex_arithmetic": Dataset(
        "Add, subtract, multiply or divide complex numbers.", checks.complex_number, range(4)
    ),
    "count_bits": Dataset("Count the 1 bits of a number.", checks.number, range(5)),
    "count_primes": Dataset("Count the primes in an interval.", checks.number, range(5)),
    "countdown": Dataset(
        "Combine all the given numbers into an expression that equals a target.",
        checks.countdown,
        range(5),
        keys=("numbers", "target"),
    ),
    "course_schedule": Dataset(
        "Decide whether courses with prerequisites can all be finished.", checks.word, range(5)
    ),
    "cryptarithm": Dataset(
        "Assign digits to letters so that a sum of words holds.",
        checks.cryptarithm,
        range(4),
        keys=("words_letters", "result_letters", "allow_leading_zero"),
    ),
    "decimal_arithmetic": Dataset(
        "Evaluate an expression of decimal numbers to 12 significant digits.", checks.close_number, range(4)
    ),
    "decimal_chain_sum": Dataset(
        "Evaluate a chain of additions and subtractions of decimal numbers.", checks.number, range(5)
    ),
    "dice": Dataset("Find the probability that some dice add up to a number or more.", checks.fraction, range(4)),
    "emoji_mystery": Dataset("Decode a sentence hidden in an emoji's variation selectors.", checks.text, range(6)),
    "family_relationships": Dataset("Name the relationship between two members of a family.", checks.word, range(9)),
    "figlet_font": Dataset("Read a word drawn in a figlet font.", checks.letters, range(6)),
    "fraction_simplification": Dataset("Reduce a fraction to its lowest terms.", checks.fraction, range(4)),
    "futoshiki": Dataset("Solve a Futoshiki puzzle.", checks.latin_square, range(3), keys=("puzzle", "constraints")),
    "game_of_life": Dataset("Simulate Conway's Game of Life.", checks.matrix, range(3)),
    "game_of_life_halting": Dataset(
        "Decide whether a Game of Life board comes to rest within some steps.", checks.word, range(2)
    ),
    "gcd": Dataset("Find a greatest common divisor.", checks.number, range(4)),
    "group_anagrams": Dataset("Group words that are anagrams of each other.", checks.groups, range(4)),
    "gsm_symbolic": Dataset("Solve a grade-school word problem with varied names and numbers.", checks.close_number),
    "intermediate_integration": Dataset(
        "Find an antiderivative by substitution or by parts.",
        checks.integral,
        range(8),
        keys=("integrand", "variable"),
    ),
    "isomorphic_strings": Dataset("Decide whether two strings are isomorphic.", checks.word, range(4)),
    "jugs": Dataset(
        "Measure an amount of water with jugs of given capacities.", checks.jugs, range(2), keys=("puzzle",)
    ),
    "knights_knaves": Dataset("Tell who always tells the truth and who always lies.", checks.roles, range(4)),
    "largest_island": Dataset("Find the area of the largest island in a grid.", checks.number, range(3)),
    "lcm": Dataset("Find a least common multiple.", checks.number, range(4)),
    "leg_counting": Dataset("Count the legs of a list of animals.", checks.number, range(36)),
    "letter_counting": Dataset("Count a letter in a text.", checks.number, range(8)),
    "letter_jumble": Dataset("Unscramble the letters of each word of a sentence.", checks.word, range(5)),
    "list_functions": Dataset("Infer a function on lists from examples and apply it.", checks.numbers),
    "manipulate_matrix": Dataset("Apply a series of operations to a matrix.", checks.matrix, range(3)),
    "maze": Dataset("Find the length of the shortest way through a maze.", checks.number, range(4)),
    "mini_sudoku": Dataset("Solve a 4x4 Sudoku.", checks.latin_square, range(5), keys=("puzzle",)),
    "modulo_grid": Dataset(
        "Infer the arithmetic rule behind a grid of marks and fill its gaps.",
        checks.lines,
        (
            0,
            2,
            3,
            4,
            5,
        ),
    ),
    "needle_haystack": Dataset("Find who is named by one statement among many.", checks.word, range(1)),
    "number_filtering": Dataset(
        "Keep or remove the numbers of a list above or below a value.", checks.numbers, range(4)
    ),
    "number_format": Dataset(
        "Pick the largest or smallest of numbers in different formats.",
        checks.chosen_number,
        range(4),
        keys=("candidates", "solution"),
    ),
    "number_sequence": Dataset(
        "Continue a number sequence.",
        checks.number,
        (
            0,
            2,
        ),
    ),
    "number_sorting": Dataset("Sort numbers in ascending or descending order.", checks.numbers, range(5)),
    "palindrome_generation": Dataset(
        "Arrange letters into a palindrome.", checks.palindrome, range(4), keys=("letters",)
    ),
    "palindrome_partitioning": Dataset("List all ways to cut a string into palindromes.", checks.partitions, range(4)),
    "polynomial_equations": Dataset("Find the real roots of a polynomial.", checks.roots, range(4)),
    "polynomial_multiplication": Dataset("Multiply polynomials out.", checks.expanded_polynomial, range(4)),
    "power_function": Dataset(
        "Raise a number to a power, to three significant figures.", checks.three_figures, range(5)
    ),
    "prime_factorization": Dataset("Factor a number into primes.", checks.factors, range(4)),
    "products": Dataset("Multiply integers.", checks.number, range(11)),
    "quantum_lock": Dataset(
        "Reach a number with the fewest presses of buttons that depend on a light.",
        checks.quantum_lock,
        range(10),
        keys=("buttons", "initial_state", "initial_value", "target_value"),
    ),
    "ransom_note": Dataset("Decide whether a note can be cut from the letters of a magazine.", checks.word, range(4)),
    "rectangle_count": Dataset("Count the rectangles of a drawing in characters.", checks.number, range(5)),
    "rotate_matrix": Dataset("Rotate a matrix by a multiple of 90 degrees.", checks.matrix, range(3)),
    "rotten_oranges": Dataset("Find how long rot takes to spread over a grid of oranges.", checks.number, range(3)),
    "self_reference": Dataset(
        "Count the consistent truth values of statements about each other.", checks.number, range(10)
    ),
    "sentence_reordering": Dataset("Restore the order of a sentence's words.", checks.word, range(4)),
    "shortest_path": Dataset(
        "Find a shortest path through a grid with walls.", checks.shortest_path, range(3), keys=("matrix",)
    ),
    "simple_equations": Dataset(
        "Solve a linear equation for its variable.", checks.solution_for_variable, range(4), keys=("variable",)
    ),
    "simple_geometry": Dataset("Find the missing interior angle of a polygon.", checks.number, range(4)),
    "simple_integration": Dataset(
        "Find the antiderivative of a polynomial.",
        checks.polynomial_integral,
        range(4),
        keys=("integrand", "variable"),
    ),
    "sokoban": Dataset(
        "Push all boxes of a Sokoban board onto goals.",
        checks.sokoban,
        (
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            9,
            11,
            12,
            13,
        ),
        keys=("gamestr",),
    ),
    "spell_backward": Dataset("Spell a word backward.", checks.word, range(5)),
    "spiral_matrix": Dataset("List a matrix's elements in spiral order.", checks.sequence, range(3)),
    "string_manipulation": Dataset(
        "Apply rewriting rules to a string until it stops changing.", checks.text, range(5)
    ),
    "syllogism": Dataset("Decide whether a conclusion follows from two premises.", checks.word, range(4)),
    "time_intervals": Dataset("Find the time between two moments.", checks.duration, range(7)),
    "tower_of_hanoi": Dataset(
        "Solve the Tower of Hanoi in the fewest moves.",
        checks.tower_of_hanoi,
        range(4),
        keys=("num_disks", "num_pegs", "start_peg", "target_peg", "solution_length"),
    ),
    "tsumego": Dataset(
        "Find the Go move that captures the most stones.", checks.go_capture, range(4), keys=("board",)
    ),
    "word_ladder": Dataset(
        "Change one word into another one letter at a time.",
        checks.word_ladder,
        range(3),
        keys=("start_word", "end_word"),
    ),
    "word_sequence_reversal": Dataset("Reverse a list of words.", checks.words, range(4)),
    "word_sorting": Dataset("Sort words in ASCII order.", checks.words, range(5)),
    "zebra_puzzles": Dataset("Solve a zebra puzzle about houses and their owners.", checks.word, range(4)),
}
