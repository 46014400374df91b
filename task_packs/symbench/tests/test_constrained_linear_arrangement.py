import pytest
from r1ci_tasks_symbench.constrained_linear_arrangement import GAMES, ConstrainedLinearArrangement, published

TASK = ConstrainedLinearArrangement()


def question(game, moves, results, solution):
    params = {"game_type": game, "player_moves": moves, "results": results, "solution": solution}
    return published({"question": None, "solution": solution, "params": params})


@pytest.mark.parametrize(
    ("game", "mine", "theirs", "result"),
    [
        ("elements", "A", "B", "loss"),  # wood generates fire
        ("elements", "E", "A", "loss"),  # water generates wood
        ("elements", "C", "D", "loss"),  # earth generates metal
        ("elements", "A", "C", "win"),  # wood overcomes earth
        ("elements", "E", "B", "win"),  # water overcomes fire
        ("elements", "D", "A", "win"),  # metal overcomes wood
        ("sticks", "A", "B", "win"),
        ("sticks", "D", "A", "win"),
        ("sticks", "A", "C", "draw"),
        ("sticks", "B", "D", "draw"),
        ("animals", "A", "B", "win"),
        ("animals", "H", "A", "win"),  # the mouse captures the elephant
        ("animals", "H", "B", "loss"),
        ("animals", "G", "A", "loss"),
    ],
)
def test_results_follow_the_rules(game, mine, theirs, result):
    mirrored = {"win": "loss", "loss": "win", "draw": "draw"}
    assert GAMES[game].results(mine, theirs) == [result]
    assert GAMES[game].results(theirs, mine) == [mirrored[result]]
    assert GAMES[game].results(mine, mine) == ["draw"]


def test_every_sequence_that_fits_is_right():
    q = question("animal", ["B", "A", "G"], ["draw", "win", "loss"], ["B", "E", "A"])
    assert TASK.check(q, "B, E, A")
    assert TASK.check(q, "[B, C, D]")
    assert TASK.check(q, "b c f")
    assert not TASK.check(q, "B, B, A")  # a card twice
    assert not TASK.check(q, "B, H, A")  # the mouse would have won
    assert not TASK.check(q, "B, E")
    assert not TASK.check(q, "B, E, A, C")
    assert not TASK.check(q, "B, E, I")
    assert not TASK.check(q, "B, EC, A")


def test_a_reference_that_contradicts_the_rules_is_wrong():
    q = question("elements", ["A", "B", "D"], ["win", "loss", "draw"], ["C", "D", "A"])
    assert not TASK.check(q, q.answer)
    assert TASK.check(q, "C, E, D")
    assert TASK.check(q, "E, C, D")
    assert not TASK.check(q, "E, C, A")  # different elements are never a draw
    assert TASK.solve(q) in ("C, E, D", "E, C, D")


def test_an_unknown_game_is_refused():
    with pytest.raises(ValueError, match="chess"):
        question("chess", ["A"], ["win"], ["B"])
