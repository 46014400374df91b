"""The 84 data sets of reasoning-gym that the pack offers: what each asks, how it is checked, which levels it has.

The pack knows about single data sets only from this table, so that listing the tasks does not import the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from r1ci_tasks_reasoning_gym import checks


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes:
        capability: The paper's class: ``execution``, ``planning`` or ``reasoning``.
        description: One sentence.
        check: How an answer is judged.
        levels: Levels of the library's curriculum, easiest first; a task's difficulty is a position among them. Levels
            are left out if the library rejects them, they always make the same question, their questions exceed
            10,000 characters, or a question takes half a second or more (some take minutes). Empty where the
            library has no curriculum: difficulty 0 is then its default configuration.
        keys: What the check needs of an entry's metadata.
        unique: Whether one answer is right, up to the way it is written; not where items come in any order.
        example: The answer that every question of the library shows to illustrate the format.
        mixed: Whether the default draws from all levels, because the default configuration has too few questions.
    """

    capability: str
    description: str
    check: checks.Check
    levels: Sequence[int] = ()
    keys: Sequence[str] = ()
    unique: bool = True
    example: str = ""
    mixed: bool = False


DATASETS: dict[str, Dataset] = {
    "ab": Dataset(
        "execution", "Rewrite a string of A and B tokens by exchange rules to its final state.", checks.text, range(4)
    ),
    "acre": Dataset(
        "reasoning",
        "Decide from experiments whether objects switch a detector on, off, or leave it undetermined.",
        checks.word,
    ),
    "advanced_geometry": Dataset(
        "reasoning",
        "Find an orthocenter, an incircle radius or an angle of a triangle given by coordinates.",
        checks.geometry,
        range(4),
        keys=("task_type", "angle_ABC_degrees", "orthocenter_approx", "incircle_radius_approx"),
    ),
    "aiw": Dataset(
        "reasoning",
        "Answer Alice-in-Wonderland riddles about siblings, friends and colleagues.",
        checks.number,
        range(9),
    ),
    "arc_1d": Dataset("reasoning", "Infer a rule from one-dimensional grids and apply it.", checks.sequence, range(4)),
    "base_conversion": Dataset("execution", "Convert a number between two bases.", checks.word, range(5)),
    "basic_arithmetic": Dataset(
        "execution", "Evaluate an arithmetic expression with integers.", checks.number, range(5)
    ),
    "bf": Dataset("execution", "Tell the output of a Brainf*ck program.", checks.text, range(2)),
    "binary_alternation": Dataset(
        "planning", "Count the swaps that make a binary string alternate.", checks.number, range(4)
    ),
    "binary_matrix": Dataset(
        "execution", "Find each cell's distance to the nearest 0 in a binary matrix.", checks.matrix, range(3)
    ),
    "bitwise_arithmetic": Dataset(
        "execution",
        "Evaluate an expression of hexadecimal numbers, shifts and arithmetic.",
        checks.hexadecimal,
        range(10),
        example="-0x3",
    ),
    "caesar_cipher": Dataset(
        "execution", "Decrypt a text whose letters are shifted by an unknown amount.", checks.word, range(2)
    ),
    "calendar_arithmetic": Dataset(
        "execution", "Answer questions about dates, weekdays and leap years.", checks.number_or_word, range(4)
    ),
    "chain_sum": Dataset("execution", "Evaluate a chain of additions and subtractions.", checks.number, range(11)),
    "circuit_logic": Dataset("execution", "Evaluate a logic circuit drawn in characters.", checks.number, range(2)),
    "color_cube_rotation": Dataset(
        "execution", "Track the colours of a cube's sides through rotations.", checks.word, range(5)
    ),
    "complex_arithmetic": Dataset(
        "execution", "Add, subtract, multiply or divide complex numbers.", checks.complex_number, range(4)
    ),
    "count_bits": Dataset("execution", "Count the 1 bits of a number.", checks.number, range(5)),
    "count_primes": Dataset("execution", "Count the primes in an interval.", checks.number, range(5)),
    "countdown": Dataset(
        "planning",
        "Combine all the given numbers into an expression that equals a target.",
        checks.countdown,
        range(5),
        keys=("numbers", "target"),
        unique=False,
    ),
    "course_schedule": Dataset(
        "planning", "Decide whether courses with prerequisites can all be finished.", checks.word, range(5)
    ),
    "cryptarithm": Dataset(
        "planning",
        "Assign digits to letters so that a sum of words holds.",
        checks.cryptarithm,
        range(4),
        keys=("words_letters", "result_letters", "allow_leading_zero"),
        unique=False,
        example="A=1,B=2,C=3",
    ),
    "decimal_arithmetic": Dataset(
        "execution",
        "Evaluate an expression of decimal numbers to 12 significant digits.",
        checks.close_number,
        range(4),
    ),
    "decimal_chain_sum": Dataset(
        "execution", "Evaluate a chain of additions and subtractions of decimal numbers.", checks.number, range(5)
    ),
    "dice": Dataset(
        "reasoning",
        "Find the probability that some dice add up to a number or more.",
        checks.fraction,
        range(4),
        example="1/60",
    ),
    "emoji_mystery": Dataset(
        "execution", "Decode a sentence hidden in an emoji's variation selectors.", checks.text, range(6)
    ),
    "family_relationships": Dataset(
        "reasoning", "Name the relationship between two members of a family.", checks.word, range(9)
    ),
    "figlet_font": Dataset("reasoning", "Read a word drawn in a figlet font.", checks.letters, range(6)),
    "fraction_simplification": Dataset(
        "execution", "Reduce a fraction to its lowest terms.", checks.fraction, range(4)
    ),
    "futoshiki": Dataset(
        "planning",
        "Solve a Futoshiki puzzle.",
        checks.latin_square,
        range(3),
        keys=("puzzle", "constraints"),
        unique=False,
    ),
    "game_of_life": Dataset(
        "execution", "Simulate Conway's Game of Life.", checks.matrix, range(3), example="[[0,0,0],[0,0,0],[0,0,0]]"
    ),
    "game_of_life_halting": Dataset(
        "execution", "Decide whether a Game of Life board comes to rest within some steps.", checks.word, range(2)
    ),
    "gcd": Dataset("execution", "Find a greatest common divisor.", checks.number, range(4)),
    "group_anagrams": Dataset(
        "execution",
        "Group words that are anagrams of each other.",
        checks.groups,
        range(4),
        unique=False,
        example='[["eat", "tea"], ["tan", "nat"]]',
    ),
    "gsm_symbolic": Dataset(
        "reasoning", "Solve a grade-school word problem with varied names and numbers.", checks.close_number
    ),
    "intermediate_integration": Dataset(
        "reasoning",
        "Find an antiderivative by substitution or by parts.",
        checks.integral,
        range(8),
        keys=("integrand", "variable"),
        unique=False,
    ),
    "isomorphic_strings": Dataset("execution", "Decide whether two strings are isomorphic.", checks.word, range(4)),
    "jugs": Dataset(
        "planning",
        "Measure an amount of water with jugs of given capacities.",
        checks.jugs,
        range(2),
        keys=("puzzle",),
        unique=False,
    ),
    "knights_knaves": Dataset(
        "reasoning", "Tell who always tells the truth and who always lies.", checks.roles, range(4), unique=False
    ),
    "largest_island": Dataset("execution", "Find the area of the largest island in a grid.", checks.number, range(3)),
    "lcm": Dataset("execution", "Find a least common multiple.", checks.number, range(4)),
    "leg_counting": Dataset("execution", "Count the legs of a list of animals.", checks.number, range(36)),
    "letter_counting": Dataset("execution", "Count a letter in a text.", checks.number, range(8)),
    "letter_jumble": Dataset("reasoning", "Unscramble the letters of each word of a sentence.", checks.word, range(5)),
    "list_functions": Dataset("reasoning", "Infer a function on lists from examples and apply it.", checks.numbers),
    "manipulate_matrix": Dataset("execution", "Apply a series of operations to a matrix.", checks.matrix, range(3)),
    "maze": Dataset("planning", "Find the length of the shortest way through a maze.", checks.number, range(4)),
    "mini_sudoku": Dataset(
        "planning", "Solve a 4x4 Sudoku.", checks.latin_square, range(5), keys=("puzzle",), unique=False
    ),
    "modulo_grid": Dataset(
        "reasoning",
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
    "needle_haystack": Dataset("reasoning", "Find who is named by one statement among many.", checks.word, range(1)),
    "number_filtering": Dataset(
        "execution", "Keep or remove the numbers of a list above or below a value.", checks.numbers, range(4)
    ),
    "number_format": Dataset(
        "execution",
        "Pick the largest or smallest of numbers in different formats.",
        checks.chosen_number,
        range(4),
        keys=("candidates", "solution"),
    ),
    "number_sequence": Dataset("reasoning", "Continue a number sequence.", checks.number, range(4), mixed=True),
    "number_sorting": Dataset(
        "execution",
        "Sort numbers in ascending or descending order.",
        checks.numbers,
        range(5),
        example="['-69', '-13', '1', '7', '11', '43', '59', '61']",
    ),
    "palindrome_generation": Dataset(
        "planning", "Arrange letters into a palindrome.", checks.palindrome, range(4), keys=("letters",), unique=False
    ),
    "palindrome_partitioning": Dataset(
        "execution",
        "List all ways to cut a string into palindromes.",
        checks.partitions,
        range(4),
        unique=False,
        example='[["a","a","b"],["aa","b"]]',
    ),
    "polynomial_equations": Dataset(
        "reasoning",
        "Find the real roots of a polynomial.",
        checks.roots,
        range(4),
        unique=False,
        example="-0.3773, 0.4005",
    ),
    "polynomial_multiplication": Dataset(
        "execution", "Multiply polynomials out.", checks.expanded_polynomial, range(4), unique=False
    ),
    "power_function": Dataset(
        "execution",
        "Raise a number to a power, to three significant figures.",
        checks.three_figures,
        range(5),
        example="1.23e+4",
    ),
    "prime_factorization": Dataset(
        "execution",
        "Factor a number into primes.",
        checks.factors,
        range(4),
        unique=False,
        example="2 × 2 × 3",
        mixed=True,
    ),
    "products": Dataset("execution", "Multiply integers.", checks.number, range(11)),
    "quantum_lock": Dataset(
        "planning",
        "Reach a number with the fewest presses of buttons that depend on a light.",
        checks.quantum_lock,
        range(10),
        keys=("buttons", "initial_state", "initial_value", "target_value"),
        unique=False,
        example="A → B → C",
    ),
    "ransom_note": Dataset(
        "execution", "Decide whether a note can be cut from the letters of a magazine.", checks.word, range(4)
    ),
    "rectangle_count": Dataset(
        "execution", "Count the rectangles of a drawing in characters.", checks.number, range(5)
    ),
    "rotate_matrix": Dataset("execution", "Rotate a matrix by a multiple of 90 degrees.", checks.matrix, range(3)),
    "rotten_oranges": Dataset(
        "execution", "Find how long rot takes to spread over a grid of oranges.", checks.number, range(3)
    ),
    "self_reference": Dataset(
        "reasoning",
        "Count the consistent truth values of statements about each other.",
        checks.number,
        range(10),
        mixed=True,
    ),
    "sentence_reordering": Dataset("reasoning", "Restore the order of a sentence's words.", checks.word, range(4)),
    "shortest_path": Dataset(
        "planning",
        "Find a shortest path through a grid with walls.",
        checks.shortest_path,
        range(3),
        keys=("matrix",),
        unique=False,
        example="right right down down up left",
    ),
    "simple_equations": Dataset(
        "reasoning",
        "Solve a linear equation for its variable.",
        checks.solution_for_variable,
        range(4),
        keys=("variable",),
    ),
    "simple_geometry": Dataset("reasoning", "Find the missing interior angle of a polygon.", checks.number, range(4)),
    "simple_integration": Dataset(
        "reasoning",
        "Find the antiderivative of a polynomial.",
        checks.polynomial_integral,
        range(4),
        keys=("integrand", "variable"),
        unique=False,
    ),
    "sokoban": Dataset(
        "planning",
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
        unique=False,
        example="LDURRUDL",
    ),
    "spell_backward": Dataset("execution", "Spell a word backward.", checks.word, range(5), example="nus"),
    "spiral_matrix": Dataset(
        "execution", "List a matrix's elements in spiral order.", checks.sequence, range(3), example="1 2 3 4 5 6"
    ),
    "string_manipulation": Dataset(
        "execution", "Apply rewriting rules to a string until it stops changing.", checks.text, range(5)
    ),
    "syllogism": Dataset("reasoning", "Decide whether a conclusion follows from two premises.", checks.word, range(4)),
    "time_intervals": Dataset("execution", "Find the time between two moments.", checks.duration, range(7)),
    "tower_of_hanoi": Dataset(
        "planning",
        "Solve the Tower of Hanoi in the fewest moves.",
        checks.tower_of_hanoi,
        range(4),
        keys=("num_disks", "num_pegs", "start_peg", "target_peg", "solution_length"),
        unique=False,
        mixed=True,
    ),
    "tsumego": Dataset(
        "planning",
        "Find the Go move that captures the most stones.",
        checks.go_capture,
        range(4),
        keys=("board",),
        unique=False,
        example="C4",
    ),
    "word_ladder": Dataset(
        "planning",
        "Change one word into another one letter at a time.",
        checks.word_ladder,
        range(3),
        keys=("start_word", "end_word"),
        unique=False,
    ),
    "word_sequence_reversal": Dataset("execution", "Reverse a list of words.", checks.words, range(4)),
    "word_sorting": Dataset(
        "execution", "Sort words in ASCII order.", checks.words, range(5), example="word_1, word_2, word_3"
    ),
    "zebra_puzzles": Dataset(
        "reasoning", "Solve a zebra puzzle about houses and their owners.", checks.word, range(4)
    ),
}
