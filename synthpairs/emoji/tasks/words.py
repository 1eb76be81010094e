"""`desk_text`, the test of language kept, and the text-only part of the instruction data: what sort of thing a word names.

The benchmark completes a sentence (`A lemon is a kind of` ... `fruit`) and compares the likelihoods of four ends, as
lm-eval does for ARC and HellaSwag. Measured on the untouched SmolLM2-135M-Instruct: 0.93 right this way (300 items), 0.26 and
0.25 with letters A to D (96 items each; chance is 0.25), so letters would have shown nothing lost. Words come in fours whose
classes take turns in being right: whoever looks at the ends alone is right a quarter of the time, exactly. No word is in both
data sets.
"""

import numpy as np
import pandas as pd

from synthpairs.core.schema import digest
from synthpairs.emoji.scenes import article
from synthpairs.emoji.tasks.items import item
from synthpairs.emoji.tasks.studio import choose, evenly, shuffled

# Class -> the group in which it is never set against another, and the names that carry its keyword for another reason.
CLASSES = {
    "animal": ("animal", {"dragon"}),
    "bird": ("animal", {"feather", "wing"}),
    "insect": ("animal", {"spider"}),
    "flower": ("plant", {"blossom", "bouquet"}),
    "fruit": ("food", {"pie"}),
    "vegetable": ("food", {"peanuts"}),
    "dessert": ("food", {"dango"}),
    "vehicle": ("vehicle", {"wheel"}),
    "instrument": ("instrument", set()),
    "clothing": ("clothing", {"crown", "footprints", "handbag", "purse", "umbrella"}),
    "weather": ("weather", {"droplet", "thermometer"}),
    "building": ("building", {"sunset"}),
}
STEMS = ("{a} is a kind of", "{a} is a type of", "{a} is a sort of")
NAMING = ("What kind of thing is {a}?", "What sort of thing is {a}?", "{name}: what kind of thing is it?")
CHECKING = "Is {a} a kind of {sort}? Answer yes or no."
TRIES = 1000  # to find a question that was not asked before

Words = dict[str, list[str]]  # class -> names, sorted


def word_classes(drawings: pd.DataFrame) -> tuple[Words, Words]:
    """The one-word names of each class: half for the benchmark, half for the instruction data, parted by hash."""
    named = drawings.drop_duplicates("name")
    single = named[named["name"].str.fullmatch("[a-z]+")]
    benchmark: Words = {}
    instructions: Words = {}
    taken: set[str] = set()
    for sort, (_, others) in sorted(
        CLASSES.items(), key=lambda entry: entry[0] == "animal"
    ):  # a bird is asked as a bird
        carry = [sort in keywords for keywords in single["keywords"]]
        names = sorted(set(single["name"][carry]) - others - taken, key=lambda name: digest("word", name))
        taken |= set(names)
        benchmark[sort], instructions[sort] = sorted(names[::2]), sorted(names[1::2])
    return benchmark, instructions


def text_items(words: Words, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_text`: `count` sentences, a multiple of 4; category is the right class. ValueError when the words do not suffice."""
    groups = sorted({CLASSES[sort][0] for sort, names in words.items() if names})
    if len(groups) < 4:
        raise ValueError(
            "tasks.text: the drawings' keywords give fewer than four groups of words; run `dvc repro art` again"
        )
    rows: dict[str, dict] = {}
    while len(rows) < count:
        for _ in range(TRIES):
            four = _four(words, groups, STEMS[len(rows) // 4 % len(STEMS)], rng)
            if not rows.keys() & four.keys():
                break
        else:
            raise ValueError(f"params.yaml: tasks.text: there are no {count} different sentences; ask for fewer")
        rows |= four
    return list(rows.values())


def _four(words: Words, groups: list[str], stem: str, rng: np.random.Generator) -> dict[str, dict]:
    """Four sentences with the same four ends, each of which is right once."""
    sorts = [
        choose(rng, [sort for sort in words if words[sort] and CLASSES[sort][0] == group])
        for group in shuffled(rng, groups)[:4]
    ]
    rows = {}
    for sort in sorts:
        name = choose(rng, words[sort])
        sentence = stem.format(a=article(name))
        row = item("desk_text", sentence[:1].upper() + sentence[1:], [sort], sort, name, choices=sorts)
        rows[row["uid"]] = row
    return rows


def text_questions(words: Words, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`count` different (question, answer) pairs: what sort of thing a word names, and yes or no."""
    sorts = [sort for sort in words if words[sort]]
    asked: dict[str, str] = {}
    for place, sort in enumerate(evenly(rng, sorts, count)):
        for _ in range(TRIES):
            name = choose(rng, words[sort])
            if place % 2 == 0:
                question, answer = choose(rng, NAMING).format(a=article(name), name=name), sort
            else:
                others = [other for other in sorts if CLASSES[other][0] != CLASSES[sort][0]]
                right = place % 4 == 1
                question = CHECKING.format(a=article(name), sort=sort if right else choose(rng, others))
                answer = "yes" if right else "no"
            if question not in asked:
                break
            sort = choose(rng, sorts)  # this class may be used up
        else:
            raise ValueError(f"params.yaml: tasks.instructions.text: there are no {count} questions; ask for fewer")
        asked[question] = answer
    return list(asked.items())
