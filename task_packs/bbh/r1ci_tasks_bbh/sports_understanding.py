"""sports_understanding: can an athlete have done this in their sport? Upstream has it only as data."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import YES_NO
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import OwnQuestions

_ATHLETES = {
    "basketball": "LeBron James; Stephen Curry; Kobe Bryant; Shaquille O'Neal; Magic Johnson; Larry Bird",
    "football": "Lionel Messi; Cristiano Ronaldo; Pelé; Diego Maradona; Zinedine Zidane; Kylian Mbappé; Megan Rapinoe",
    "tennis": "Roger Federer; Rafael Nadal; Serena Williams; Steffi Graf; Novak Djokovic; Martina Navratilova",
    "baseball": "Babe Ruth; Derek Jeter; Mike Trout; Hank Aaron; Willie Mays; Ichiro Suzuki; Barry Bonds",
    "ice hockey": "Wayne Gretzky; Sidney Crosby; Alexander Ovechkin; Mario Lemieux; Jaromir Jagr; Bobby Orr",
    "American football": "Tom Brady; Patrick Mahomes; Peyton Manning; Joe Montana; Aaron Rodgers; Dan Marino",
    "golf": "Tiger Woods; Jack Nicklaus; Rory McIlroy; Arnold Palmer; Annika Sörenstam; Phil Mickelson",
    "swimming": "Michael Phelps; Katie Ledecky; Ian Thorpe; Mark Spitz; Missy Franklin",
}
_DEEDS = {
    "basketball": ("sank two free throws", "hit a three-pointer", "grabbed a defensive rebound", "dunked the ball"),
    "football": (
        "dribbled past the goalkeeper",
        "struck the ball past the wall from a free kick",
        "took a corner kick",
    ),
    "tennis": ("served an ace", "double-faulted at deuce", "won the tie-break", "hit a backhand volley at the net"),
    "baseball": ("hit a home run to left field", "slid into second base", "grounded out to the shortstop"),
    "ice hockey": ("shot the puck into the top corner", "scored on the power play", "was sent to the penalty box"),
    "American football": (
        "threw a touchdown pass",
        "was sacked by the linebacker",
        "completed the pass on third down",
    ),
    "golf": ("sank a long putt for birdie", "chipped the ball onto the green", "drove the ball into the bunker"),
    "swimming": ("touched the wall first after the last lap", "swam the butterfly leg of the relay"),
}
"""Actions that belong to only one of these sports."""

_OCCASIONS = (
    "",
    " on Saturday",
    " in front of a full house",
    " early in the season",
    " on a hot day",
    " despite a sore knee",
)


class SportsUnderstanding(OwnQuestions):
    """A well-known athlete and an action of the athlete's sport, or of another one."""

    name = "sports_understanding"
    description = "Say whether a sentence about an athlete is plausible."
    capability = "reasoning"
    form = YES_NO

    def make(self, rng: random.Random, level: int) -> Problem:
        sport, other = rng.sample(list(_ATHLETES), 2)
        plausible = rng.random() < 0.5
        athlete = rng.choice(_ATHLETES[sport].split("; "))
        deed = rng.choice(_DEEDS[sport if plausible else other])
        stem = (
            f'Somebody reports about a professional match or race: "{athlete} {deed}{rng.choice(_OCCASIONS)}." '
            "Is that plausible, given the sport in which this athlete is known?"
        )
        return Problem(stem, "yes" if plausible else "no")
