"""Columns of all tables, with units, and the content hashes that identify their rows and join them.

`concept` is a slug in DRAWINGS alone. Elsewhere it is a name: of the thing (in DRAWINGS the column `name`) or class that the
caption or item is about; null or empty where a caption's source names none.
"""

import hashlib
import json
import unicodedata
from typing import Any

import pyarrow as pa


def _table(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(columns.items())


DRAWINGS = _table(
    drawing=pa.string(),  # its id: concept/style
    concept=pa.string(),  # slug of the emoji's CLDR name
    name=pa.string(),  # the CLDR name
    kind=pa.string(),  # category of the thing, from the emoji's group
    keywords=pa.list_(pa.string()),
    style=pa.string(),
    licence=pa.string(),  # SPDX
    split=pa.string(),  # train, heldout_combination, heldout_style
    png=pa.binary(),  # RGBA
)

NAMES = _table(
    concept=pa.string(),  # as in DRAWINGS
    name=pa.string(),
    kind=pa.string(),
    keywords=pa.list_(pa.string()),
)

CAPTIONS = _table(
    uid=pa.string(),
    text=pa.string(),
    source=pa.string(),  # human, model, or a name of captions.sources
    concept=pa.string(),
    drawings=pa.list_(pa.string()),  # shown in its original picture; empty without one
    original=pa.binary(),  # PNG or JPEG of the picture that came with it; null without one
    alnum_ratio=pa.float64(),  # share of characters
    special_ratio=pa.float64(),  # share of characters
    char_repetition=pa.float64(),  # share of n-grams of captions.char_ngram characters
    word_repetition=pa.float64(),  # share of n-grams of captions.word_ngram words
    flagged_ratio=pa.float64(),  # share of words
    words=pa.int64(),
    perplexity=pa.float64(),  # of the language model, per token
    judge_yes=pa.float64(),  # P(yes) / (P(yes) + P(no))
    clip_original=pa.float64(),  # cosine with the original picture; null without one
)

# Measures of the filters after the one that rejected the caption are null.
REJECTED = pa.schema([*CAPTIONS, *_table(reason=pa.string(), detail=pa.string())])

# In both tables, after clip_original, where params switch captions.blip on.
BLIP_ITM = _table(
    blip_itm=pa.float64()  # P(match); null without an original picture
)

# Captions by class prompting, one row for each request, identified by concept and number; the uids of kept captions are unique.
INVENTED = _table(
    uid=pa.string(),  # of the caption; null without a text
    text=pa.string(),  # null when the request failed
    source=pa.string(),  # invented
    concept=pa.string(),  # the class in the request
    bank=pa.string(),  # of the class: world, imagenet
    number=pa.int64(),  # which caption of its class, from 0
    seed=pa.int64(),  # of its sampling: 63 bits, of which a server gets the upper 31
    model=pa.string(),  # directory@hash, or the name that the server reports
    matched=pa.list_(pa.string()),  # concepts of the bank that occur in it; null unless kept or rejected for balance
    status=pa.string(),  # kept, rejected, failed
    reason=pa.string(),  # of a rejection: empty, chatter, prompt, cut, language, length, unmentioned, duplicate, balance
    detail=pa.string(),  # of a rejection; the error of a failed request
)

CANDIDATES = _table(
    key=pa.string(),
    uid=pa.string(),  # of the caption
    text=pa.string(),
    concept=pa.string(),
    number=pa.int64(),  # which candidate of its caption, from 0
    seed=pa.int64(),  # of its noise; the first 63 bits of the key
    generator=pa.string(),  # fingerprint; generator.json has its inputs
    tokens=pa.int64(),  # of the prompt, before truncation at the text encoder's limit
    shard=pa.string(),  # file name
    sha256=pa.string(),  # of its files: the picture, or VQ tokens and vectors
)

FAILED = _table(key=pa.string(), uid=pa.string(), error=pa.string())

# One row for each candidate of the draft pass: pictures of few steps, of which the best per caption get all steps.
DRAFTS = _table(
    key=pa.string(),
    uid=pa.string(),
    number=pa.int64(),
    clip_cosine=pa.float64(),  # of the draft with its caption; null when there was no draft
    error=pa.string(),  # why there was none
    painted=pa.bool_(),  # whether the candidate got all steps
)

SCORES = _table(
    key=pa.string(),
    uid=pa.string(),
    concept=pa.string(),
    clip_cosine=pa.float64(),  # raw cosine in [-1, 1]
    ssim=pa.float64(),  # of the picture with itself after down- and upscaling, in [-1, 1]
    clip_tokens=pa.int64(),  # of prefix and caption, before truncation at the scorer's limit
)

PAIR_SCORES = ["clip_cosine", "ssim"]  # columns of SCORES without which a candidate is not ranked

SELECTED = _table(
    key=pa.string(),
    uid=pa.string(),
    text=pa.string(),
    concept=pa.string(),
    rank=pa.int64(),  # from 0, best first
    score=pa.float64(),  # what the strategy ranked by: weighted sum, one score, or with `random` a random number
    **dict.fromkeys(PAIR_SCORES, pa.float64()),
    shard=pa.string(),  # in data/images
)

# One arm's training pairs. The picture of a synthetic pair is in a shard of data/images, that of a real one in CAPTIONS.
PAIRS = _table(
    key=pa.string(),
    uid=pa.string(),
    text=pa.string(),
    concept=pa.string(),
    origin=pa.string(),  # synthetic, real
    shard=pa.string(),  # null for real pairs
)

# Duplicates and contamination: one row for each candidate, and for each pair of the arm `real` if there is one.
# Null: not measured.
CONTAMINATION = _table(
    key=pa.string(),
    uid=pa.string(),  # of the caption
    text=pa.string(),
    origin=pa.string(),  # synthetic, real
    selected=pa.bool_(),  # whether the candidate is in the selection; false for real pairs
    phash=pa.string(),  # perceptual hash of the picture: 64 bits as 16 hexadecimal digits
    group=pa.string(),  # smallest key of its group of near duplicates; null when it has none
    picture_bits=pa.int64(),  # of 64, Hamming distance to the hash of the nearest benchmark picture
    picture_bits_item=pa.string(),  # that picture's benchmark item: TASK/UID, as below
    picture_cosine=pa.float64(),  # CLIP cosine with the nearest benchmark picture
    picture_cosine_item=pa.string(),
    caption_share=pa.float64(),  # of the caption's word n-grams that occur in benchmark texts
    caption_exact=pa.bool_(),  # whether a benchmark text equals the caption
    caption_item=pa.string(),  # with the largest share; null when all are 0
    written=pa.string(),  # text found in the picture; empty when there is none
    nsfw=pa.float64(),  # probability
    error=pa.string(),  # of decoding the picture; null when there was none
    flags=pa.list_(pa.string()),  # see synthpairs.evaluation.contamination.make
)

# One row for each pair that the stage `distributions` measures.
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

# Real pairs of the Synth2 route as VQ tokens: scenes that the generator was trained on, or captions with images.
REAL_PAIRS = _table(
    key=pa.string(),
    text=pa.string(),
    concept=pa.string(),  # of the leftmost thing
    drawings=pa.list_(pa.string()),  # in the scene
    tokens=pa.list_(pa.uint16()),  # VQ tokens of the picture, row-major; list.json has the grid's size
)

# Conversations for instruction tuning; these and benchmark items hold their picture as PNG, null for text-only items.
INSTRUCTIONS = _table(
    uid=pa.string(),
    task=pa.string(),  # kind of the scene (single, pair, several), or text
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
    concept=pa.string(),  # cluster of the bootstrap intervals
    picture=pa.binary(),
    drawings=pa.list_(pa.string()),
)

# One model's answers to the benchmarks, joined between models by task, uid and blind.
ANSWERS = _table(
    uid=pa.string(),  # of the benchmark item
    task=pa.string(),
    blind=pa.bool_(),  # whether the picture was withheld
    category=pa.string(),
    concept=pa.string(),
    prediction=pa.string(),
    score=pa.float64(),  # of the task's measure: accuracy 0 or 1, CIDEr-D from 0 to 10
)

# Preference: a generated and a real picture of one caption, between which judges and people choose.
COUPLES = _table(
    couple=pa.string(),  # its id, a hash of both keys
    text=pa.string(),  # the caption of both
    concept=pa.string(),
    synthetic_key=pa.string(),
    real_key=pa.string(),
    synthetic=pa.binary(),  # PNG without metadata, as shown
    real=pa.binary(),
)


def normalise(text: str) -> str:
    """Text in the form in which it is compared and hashed: NFKC, single spaces, stripped, case kept."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def digest(*parts: Any) -> str:
    """Hash of JSON values in order: 24 hexadecimal digits of SHA-256."""
    payload = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def caption_uid(text: str, source: str) -> str:
    """Id of a caption: hash of its normalised text and its source."""
    return digest("caption", normalise(text), source)


def candidate_key(uid: str, number: int, generator: str) -> str:
    """Id of candidate `number` of the caption `uid` by the generator with this fingerprint."""
    return digest("candidate", uid, number, generator)


def pair_key(pair_list: str, number: int) -> str:
    """Id of real pair `number` of the pair list with this hash."""
    return digest("pair", pair_list, number)


def noise_seed(key: str) -> int:
    """Seed of a candidate's noise, derived from its key alone: independent of batches, shards and workers."""
    return int(key[:16], 16) >> 1
