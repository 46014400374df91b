"""movie_recommendation: the film that goes with some others. Upstream has it only as data."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, with_shuffled_options
from r1ci_tasks_bbh.task import OwnQuestions

_GENRES = {
    "animated": "Toy Story; Finding Nemo; Monsters, Inc.; Ratatouille; Up; Cars; Kung Fu Panda; Madagascar; Ice Age",
    "horror": "The Exorcist; Halloween; The Conjuring; A Nightmare on Elm Street; Friday the 13th; Hereditary; Saw; "
    "The Blair Witch Project; Paranormal Activity",
    "western": "High Noon; Rio Bravo; Unforgiven; Once Upon a Time in the West; A Fistful of Dollars; Shane; "
    "Stagecoach; The Magnificent Seven; The Searchers",
    "romantic comedy": "Notting Hill; When Harry Met Sally; Sleepless in Seattle; Four Weddings and a Funeral; "
    "You've Got Mail; Bridget Jones's Diary; My Best Friend's Wedding; 10 Things I Hate About You",
    "superheroes": "Iron Man; The Avengers; Spider-Man; X-Men; Captain Marvel; Black Panther; Wonder Woman; Superman; "
    "Batman Begins",
    "war": "Saving Private Ryan; Platoon; Full Metal Jacket; Dunkirk; Das Boot; Apocalypse Now; The Thin Red Line",
    "gangsters": "The Godfather; Goodfellas; Casino; Scarface; Donnie Brasco; The Untouchables; Carlito's Way",
    "musical": "Mamma Mia!; West Side Story; Singin' in the Rain; Hairspray; My Fair Lady; Chicago; La La Land; Evita",
}
"""Films that clearly belong to one of these genres."""


class MovieRecommendation(OwnQuestions):
    """Four films of one genre; one option is of the same genre, the others are of three different ones."""

    name = "movie_recommendation"
    description = "Choose the film that is most like some others."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        genre, *others = rng.sample(list(_GENRES), 4)
        *liked, right = rng.sample(_GENRES[genre].split("; "), 5)
        wrong = [rng.choice(_GENRES[other].split("; ")) for other in others]
        titles = ", ".join(f'"{title}"' for title in liked)
        stem = f"Somebody likes the films {titles}, all of one genre. Which of these films is of that genre, too?"
        return with_shuffled_options(rng, stem, [right, *wrong], right)
