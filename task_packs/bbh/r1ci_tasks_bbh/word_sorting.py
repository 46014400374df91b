"""word_sorting: put words into alphabetical order."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import WORDS
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text

_LIST = """
able abode abrupt absent acorn acre actor adapt agile alarm album alley almond alpine amber ample anchor angle ankle
anthem apron arbor arcade arena armor arrow ashen aspen atlas attic autumn avenue awning bacon badge baker ballad
bamboo banner barley barrel basil basin beacon beaver belfry bellow bench berry bishop blanket blaze bloom blossom
bobbin bonnet border boulder branch bravery breeze brick bridge brisk bronze brook bucket buckle bundle burrow
butter button cabin cable cactus candle canoe canopy canvas canyon caramel caravan cargo carpet cedar cellar chalk
chapel charm chestnut chimney cinder cinnamon circle citrus clarity clever cliff cloak clover cobalt coffee comet
compass copper coral corner cottage cotton cradle crater crayon cricket crimson crown crystal curtain cushion dagger
dainty dairy dancer dapple dawn decade delta dentist desert dial diamond dimple dinner dragon drizzle drum dusk eager
eagle earth easel echo eclipse elbow elder ember emerald empire enamel engine envoy estuary evening fable fabric
falcon farmer fathom feather fennel ferry fiddle filter finch flagship flannel flask flicker flint florist flour
flute forest fossil fountain freight fresco frost furnace gallop garden garlic garnet gazebo gentle geyser ginger
glacier glider glimmer glove goblet granite gravel grove guitar gully hamlet hammer harbor harvest hazel heather
helmet heron hollow honey horizon hunter husky icicle igloo island ivory jacket jargon jasmine jewel journal juniper
kernel kettle keyhole kindle kitten ladder lagoon lantern larch lattice laurel lavender ledger lemon lentil letter
lilac linen lobster locket lumber magnet mallet mantle maple marble market marsh meadow medal melody mercury mitten
mortar mosaic mustard nectar needle nettle nimble nomad nutmeg oasis oatmeal obelisk olive onyx opal orbit orchard
otter oxide oyster paddle pagoda palace parcel pasture pebble pelican pepper petal pewter pigment pillar pilot piston
planet plaster plume pollen poplar porter prairie prism puddle pulley quarry quartz quill quiver rabbit radish raft
rapid ravine reef ribbon riddle ripple river robin rocket saddle saffron sailor salmon sandal sapling satchel saturn
scarlet scholar season shadow shelter shepherd silver skater sleet slipper sparrow spindle sprout stable stapler
steeple stencil summit sundial tailor tambourine tangle tavern temple thicket thimble thistle thunder timber topaz
torrent trellis trumpet tulip tundra turret twilight umbrella urchin valley vanilla velvet verdict vessel village
violet voyage wafer walnut wander weaver whisper wicker willow window winter wizard yarrow yellow zenith zigzag zinc
"""
_WORDS = tuple(_LIST.split())
"""Words of the question, in alphabetical order."""


class WordSorting(BbhTask):
    """Questions are made by sorting and solved by counting the smaller words."""

    name = "word_sorting"
    description = "Sort words alphabetically."
    capability = "execution"
    form = WORDS

    def make(self, rng: random.Random, level: int) -> Problem:
        count = rng.randint(*((2, 6), (7, 12), (13, 20))[level])
        if level == 2:
            # Neighbours in the dictionary share their beginnings.
            start = rng.randrange(len(_WORDS) - 2 * count)
            pool: Sequence[str] = _WORDS[start : start + 2 * count]
        else:
            pool = _WORDS
        words = rng.sample(pool, count)
        if words == sorted(words):
            words.reverse()
        return Problem(
            f"Bring these words into alphabetical order.\nWords: {' '.join(words)}", " ".join(sorted(words))
        )

    def solution(self, text: str) -> str | None:
        words = _words(text)
        if not words:
            return None
        places: dict[int, str] = {}
        for index, word in enumerate(words):
            rank = sum(other < word or (other == word and j < index) for j, other in enumerate(words))
            places[rank] = word
        return " ".join(places[rank] for rank in range(len(words)))

    def programs(self, question: Question) -> Sequence[Program]:
        words = _words(problem_text(question))
        return tuple(Program(style, code.replace("WORDS", repr(words))) for style, code in _PROGRAMS.items())


def _words(text: str) -> list[str]:
    found = re.search(r"(?:List|Words): (.+)", text)
    return found[1].split() if found else []


_PROGRAMS = {
    "direct": "print(*sorted(WORDS))\n",
    "insertion": """\
import bisect

ordered = []
for word in WORDS:
    bisect.insort(ordered, word)
print(" ".join(ordered))
""",
    "merge": """\
def merge_sort(words):
    if len(words) < 2:
        return words
    middle = len(words) // 2
    left, right = merge_sort(words[:middle]), merge_sort(words[middle:])
    merged = []
    while left and right:
        merged.append((left if left[0] <= right[0] else right).pop(0))
    return merged + left + right


print(*merge_sort(WORDS))
""",
}
