"""The `captions` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within
from synthpairs.models.language.params import Sampling, Served

Share = Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """Reference captions of the desk scale: templates over emoji names, each with the image of its scene; some are noisy."""

    pictures: Annotated[int, Within(0)]
    image_size: Annotated[int, Within(16, 1024)]  # pixels of an original image
    kinds: dict[str, Share]  # of scenes, relative to their sum
    noise: dict[str, Share]  # of the pictures whose caption has this kind of noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Generated captions, written by the language model."""

    per_concept: Annotated[int, Within(0)]
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Column names, or numbers from 0 as text ("1") for tsv and csv files without a header line."""

    text: str | None  # null: the format's default (see params.yaml)
    image: str | None  # images or their paths; null: none (webdataset: the sample's image)
    source: str | None  # null: the name of the source, which also replaces empty cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Captions in files of a format that captions/readers reads."""

    name: str  # `source` of the captions
    path: str  # file, glob, or directory of files with the format's suffix
    format: Literal[
        "llava", "coco", "karpathy", "sbu", "tsv", "csv", "jsonl", "parquet", "text", "webdataset", "huggingface"
    ]
    columns: Columns
    images: str | None  # directory that image paths are relative to; null: the file's own
    limit: Annotated[int, Within(1)] | None  # number of rows to read; null: all
    licence: str | None  # for the dataset card, as Hugging Face names it; null: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the filters, inclusive: a value on the limit passes."""

    max_characters: Annotated[int, Within(1)]
    alnum_min: Share  # of characters
    special_min: Share  # of characters
    special_max: Share
    char_ngram: Annotated[int, Within(1)]  # characters
    char_repetition_max: Share  # of n-grams
    word_ngram: Annotated[int, Within(1)]  # words
    word_repetition_max: Share  # of n-grams
    flagged_max: Share  # of words
    words_min: Annotated[int, Within(0)]
    words_max: Annotated[int, Within(1)]
    perplexity_max: Annotated[float, Within(1)]  # per token, of the model in `perplexity`
    near_ngram: Annotated[int, Within(1)]  # characters
    near_jaccard: Share  # of n-grams; near duplicates have at least this similarity
    near_bands: Annotated[int, Within(1)]  # of the MinHash signature
    near_rows: Annotated[int, Within(1)]  # hashes in a band
    judge_min: Share  # P(yes) / (P(yes) + P(no)); with a server 1 for Yes, 0 for No
    clip_min: Annotated[float, Within(-1, 1)]  # raw cosine with the original image
    clip_top_share: Share  # of the remaining captions with an original


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """The perplexity filter's model."""

    engine: Literal["llm", "kenlm", "none"]  # captions.llm; a 5-gram model as in Data-Juicer; no filter
    kenlm: str  # directory with en.arpa.bin and en.sp.model, or OWNER/NAME@REVISION of a hub repository with them


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The judge of whether a caption is good enough to generate an image from."""

    engine: Literal["llm", "server", "none"]  # captions.llm; an OpenAI-compatible server; no filter
    server: Served
    max_failed_share: Share  # of the requests to a server; the stage fails above it


@dataclass(frozen=True, slots=True, kw_only=True)
class Blip:
    """BLIP image-text matching of captions and originals: limits of the matching probability."""

    model: str  # directory, or OWNER/NAME@REVISION of a hub model
    min: Share
    max: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionParams:
    """The whole section."""

    seed: Seed
    llm: str  # language model that writes captions and may filter them; directory or OWNER/NAME@REVISION
    clip: str  # model of the CLIP filter: an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    batch_size: Annotated[int, Within(1)]  # captions per forward pass
    reference: Templates
    generated: Generated
    sources: list[Source]
    perplexity: Perplexity
    judge: Judge
    blip: Blip | None  # null: no filter
    limits: Limits

    @property
    def filters_ask_llm(self) -> bool:
        """Whether a filter uses `llm`."""
        return "llm" in (self.perplexity.engine, self.judge.engine)
