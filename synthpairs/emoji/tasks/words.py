"""`desk_text`, the benchmark of retained language ability, and the text-only instruction tuning data: which class a word names.

The benchmark compares the likelihoods of four continuations of a sentence (`A lemon is a kind of` ... `fruit`), as lm-eval
does for ARC and HellaSwag. The untouched SmolLM2-135M-Instruct reaches 0.93 this way (300 items), but 0.26 and 0.25 with
letters A to D (96 items each; chance is 0.25), so letters could not show a loss. Items come in groups of four with the same
continuations, each of which is right once: continuations alone give exactly a quarter. The two data sets share no word.
"""

import numpy as np
import pandas as pd

from synthpairs.core.schema import digest
from synthpairs.emoji.scenes import article
from synthpairs.emoji.tasks.composer import choose, evenly, shuffled
from synthpairs.emoji.tasks.items import item

# Class -> its group, whose classes are never alternatives to each other, and names whose keyword is misleading.
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
TRIES = 1000  # attempts at a new question

Words = dict[str, list[str]]  # class -> names, sorted


def word_classes(names: pd.DataFrame) -> tuple[Words, Words]:
    """One-word names by class, split by hash: half for the benchmark, half for the instruction tuning data."""
    single = names.drop_duplicates("name")
    single = single[single["name"].str.fullmatch("[a-z]+")]
    benchmark: Words = {}
    instructions: Words = {}
    used: set[str] = set()
    for sort in sorted(CLASSES, key=lambda sort: sort == "animal"):  # last, because birds and insects are animals too
        has_keyword = [sort in keywords for keywords in single["keywords"]]
        chosen = set(single["name"][has_keyword]) - CLASSES[sort][1] - used
        used |= chosen
        order = sorted(chosen, key=lambda name: digest("word", name))
        benchmark[sort], instructions[sort] = sorted(order[::2]), sorted(order[1::2])
    return benchmark, instructions


def text_items(words: Words, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_text`: `count` sentences, a multiple of 4; category is the right class. ValueError for too few words."""
    groups = sorted({CLASSES[sort][0] for sort, names in words.items() if names})
    if len(groups) < 4:
        raise ValueError(
            "tasks.text: the names' keywords give fewer than four groups of words; run `dvc repro emoji` again"
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
    """Rows of four sentences with the same four continuations, each of which is right once, by uid."""
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
    """`count` different (question, answer) pairs: the class that a word names, or yes or no about a class."""
    sorts = [sort for sort in words if words[sort]]
    answers: dict[str, str] = {}
    for index, sort in enumerate(evenly(rng, sorts, count)):
        for _ in range(TRIES):
            name = choose(rng, words[sort])
            if index % 2 == 0:
                question, answer = choose(rng, NAMING).format(a=article(name), name=name), sort
            else:
                others = [other for other in sorts if CLASSES[other][0] != CLASSES[sort][0]]
                right = index % 4 == 1
                question = CHECKING.format(a=article(name), sort=sort if right else choose(rng, others))
                answer = "yes" if right else "no"
            if question not in answers:
                break
            sort = choose(rng, sorts)  # all questions of this class may be used
        else:
            raise ValueError(f"params.yaml: tasks.instructions.text: there are no {count} questions; ask for fewer")
        answers[question] = answer
    return list(answers.items())
