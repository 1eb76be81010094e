"""Every table's columns, with units, and the identities that join them; position and path never identify a thing."""

import hashlib
import json
import unicodedata
from typing import Any

import pyarrow as pa


def _table(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(columns.items())


DRAWINGS = _table(
    drawing=pa.string(),  # concept/style
    concept=pa.string(),  # slug of the emoji's CLDR name
    name=pa.string(),  # the CLDR name
    kind=pa.string(),  # what sort of thing, from the emoji's group
    keywords=pa.list_(pa.string()),
    style=pa.string(),
    licence=pa.string(),  # SPDX
    split=pa.string(),  # train, heldout_combination, heldout_style
    png=pa.binary(),  # RGBA
)

CAPTIONS = _table(
    uid=pa.string(),
    text=pa.string(),
    source=pa.string(),  # human, model, invented
    concept=pa.string(),  # the name it was written about
    drawings=pa.list_(pa.string()),  # what its original picture shows; empty without one
    original=pa.binary(),  # PNG of the original picture; null for captions that never had one
    alnum_ratio=pa.float64(),  # share of characters
    special_ratio=pa.float64(),  # share of characters
    char_repetition=pa.float64(),  # share of 10-grams
    word_repetition=pa.float64(),  # share of 10-grams
    flagged_ratio=pa.float64(),  # share of words
    words=pa.int64(),
    perplexity=pa.float64(),  # of the language model, per token
    judge_yes=pa.float64(),  # P(yes) / (P(yes) + P(no))
    clip_original=pa.float64(),  # cosine with the original picture; null without one
)

# Measures that a filter never reached, because an earlier one had rejected the caption, are null.
REJECTED = pa.schema([*CAPTIONS, *_table(reason=pa.string(), detail=pa.string())])

# Stands in both tables after clip_original where captions.blip asks for it.
BLIP_ITM = _table(
    blip_itm=pa.float64()  # P(match); null without an original picture
)

# One row for each caption that was asked for, known by concept and number; the uids of kept captions are unique.
INVENTED = _table(
    uid=pa.string(),  # of the caption; null without a text
    text=pa.string(),  # null when the request failed
    source=pa.string(),  # invented
    concept=pa.string(),  # the class that it was to be about
    bank=pa.string(),  # of the class: world, imagenet
    number=pa.int64(),  # which caption of its class, from 0
    seed=pa.int64(),  # of its sampling: 63 bits, of which a server is sent the upper 31
    model=pa.string(),  # directory@hash, or what the server calls itself
    matched=pa.list_(pa.string()),  # concepts of the bank that it names; null unless kept or out of balance
    status=pa.string(),  # kept, rejected, failed
    reason=pa.string(),  # of a rejection: empty, chatter, prompt, cut, language, length, unmentioned, duplicate, balance
    detail=pa.string(),  # what in particular; the error of a failed request
)

CANDIDATES = _table(
    key=pa.string(),
    uid=pa.string(),  # of the caption
    text=pa.string(),
    concept=pa.string(),
    number=pa.int64(),  # which candidate of its caption, from 0
    seed=pa.int64(),  # of its noise; the first 63 bits of the key
    generator=pa.string(),  # fingerprint; generator.json beside the table spells it out
    tokens=pa.int64(),  # of the prompt, before any cut at the text encoder's limit
    shard=pa.string(),  # file name
    sha256=pa.string(),  # of what was made: the picture, or token grid and vectors
)

FAILED = _table(key=pa.string(), uid=pa.string(), error=pa.string())

# One row for each candidate that was painted in few steps, to see whether it is worth all of them.
DRAFTS = _table(
    key=pa.string(),
    uid=pa.string(),
    number=pa.int64(),
    clip_cosine=pa.float64(),  # of the draft with its caption; null when there was no draft
    error=pa.string(),  # why there was none
    painted=pa.bool_(),  # whether it went on
)

SCORES = _table(
    key=pa.string(),
    uid=pa.string(),
    concept=pa.string(),
    clip_cosine=pa.float64(),  # raw cosine in [-1, 1]
    ssim=pa.float64(),  # of the picture with itself after down- and up-scaling, in [-1, 1]
    clip_tokens=pa.int64(),  # of prefix and caption, before any cut at the scorer's limit
)

SELECTED = _table(
    key=pa.string(),
    uid=pa.string(),
    text=pa.string(),
    concept=pa.string(),
    rank=pa.int64(),  # from 0, best first
    score=pa.float64(),  # what it was ranked by
    clip_cosine=pa.float64(),
    ssim=pa.float64(),
    shard=pa.string(),  # in data/images
)

# One arm's training pairs. `origin` says where the picture is: a shard of data/images, or the caption's original.
PAIRS = _table(
    key=pa.string(),
    uid=pa.string(),
    text=pa.string(),
    concept=pa.string(),
    origin=pa.string(),  # synthetic, real
    shard=pa.string(),  # null for real pairs
)

# One row for each candidate, and for each pair of the arm `real` where that is made. What was not measured is null.
AUDIT = _table(
    key=pa.string(),
    uid=pa.string(),  # of the caption
    text=pa.string(),
    origin=pa.string(),  # synthetic, real
    selected=pa.bool_(),  # whether the candidate is in the selection; false for real pairs
    phash=pa.string(),  # perceptual hash of the picture: 64 bits as 16 hexadecimal digits
    group=pa.string(),  # smallest key of the near duplicates that the picture is one of; null when it has none
    picture_bits=pa.int64(),  # of 64, in which the hash of the nearest benchmark picture differs
    picture_bits_item=pa.string(),  # whose picture that is: TASK/UID, as below
    picture_cosine=pa.float64(),  # of CLIP with the nearest benchmark picture
    picture_cosine_item=pa.string(),
    caption_share=pa.float64(),  # of the caption's word n-grams that benchmark texts have too
    caption_exact=pa.bool_(),  # whether a benchmark text is the caption
    caption_item=pa.string(),  # whose text shares most; null when none shares any
    written=pa.string(),  # text found in the picture; empty when there is none
    nsfw=pa.float64(),  # probability
    error=pa.string(),  # why the picture could not be looked at; null when it could
    flags=pa.list_(pa.string()),  # see synthpairs.evaluation.contamination.make
)

# One row for each pair that the stage `distributions` looked at.
MEASURES = _table(
    key=pa.string(),
    uid=pa.string(),  # of the caption
    concept=pa.string(),
    origin=pa.string(),  # synthetic, real
    words=pa.int64(),  # of the caption
    clip_cosine=pa.float64(),  # by the CLIP of `scores`
    other_cosine=pa.float64(),  # by distributions.other; null without it
    ssim=pa.float64(),  # as in SCORES
    edge_density=pa.float64(),  # share of pixels on an edge
    entropy=pa.float64(),  # of the gray levels, bits
    clutter=pa.float64(),  # regions of a segmentation
)

# Real pairs of the embeddings route: scenes of the list that the generator learnt from, encoded by its tokenizer.
REAL_PAIRS = _table(
    key=pa.string(),
    text=pa.string(),
    concept=pa.string(),  # the leftmost thing
    drawings=pa.list_(pa.string()),  # what the scene shows
    tokens=pa.list_(pa.uint16()),  # of the picture, row by row; list.json beside the table has the grid's size
)

# LLaVA-style conversations and benchmark items carry their picture (PNG); text-only items have none.
INSTRUCTIONS = _table(
    uid=pa.string(),
    task=pa.string(),  # the kind of scene (single, pair, several), or text
    turns=pa.list_(pa.struct({"question": pa.string(), "answer": pa.string()})),
    picture=pa.binary(),
    drawings=pa.list_(pa.string()),
)

BENCHMARK = _table(
    uid=pa.string(),
    question=pa.string(),
    answers=pa.list_(pa.string()),  # every accepted answer or reference
    choices=pa.list_(pa.string()),  # the options of a multiple-choice question, in order; null elsewhere
    category=pa.string(),  # e.g. random, popular, adversarial; what, where, how many, which colour
    concept=pa.string(),  # for clustering intervals
    picture=pa.binary(),
    drawings=pa.list_(pa.string()),
)

# One arm's answers to the benchmarks, joined between arms by task, uid and blind.
ANSWERS = _table(
    uid=pa.string(),  # of the benchmark item
    task=pa.string(),
    blind=pa.bool_(),  # whether the picture was withheld
    category=pa.string(),
    concept=pa.string(),
    prediction=pa.string(),
    score=pa.float64(),  # accuracy 0 or 1; CIDEr-D from 0 to 10
)

# A generated and a real picture of one caption, which judges and people choose between.
COUPLES = _table(
    couple=pa.string(),  # identity: of both keys
    text=pa.string(),  # the caption of both
    concept=pa.string(),  # empty where the caption's source names none
    synthetic_key=pa.string(),
    real_key=pa.string(),
    synthetic=pa.binary(),  # PNG without metadata, as judges and people see it
    real=pa.binary(),
)


def normalise(text: str) -> str:
    """Text as it is compared and hashed: NFKC, one space between words, none around; case is kept."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def digest(*parts: Any) -> str:
    """24 hexadecimal digits that identify the parts (anything JSON can say, in order)."""
    payload = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def caption_uid(text: str, source: str) -> str:
    """Identity of a caption: its normalised text and where it came from."""
    return digest("caption", normalise(text), source)


def candidate_key(uid: str, number: int, generator: str) -> str:
    """Identity of candidate `number` of a caption, made by the generator with this fingerprint."""
    return digest("candidate", uid, number, generator)


def pair_key(pair_list: str, number: int) -> str:
    """Identity of real pair `number` of the pair list with this hash."""
    return digest("pair", pair_list, number)


def noise_seed(key: str) -> int:
    """Seed of a candidate's noise: a function of its key alone, so batches, shards and workers cannot change it."""
    return int(key[:16], 16) >> 1
