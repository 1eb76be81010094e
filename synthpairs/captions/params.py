"""The `captions` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within
from synthpairs.models.language.params import Sampling, Served

Share = Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """Template captions over emoji names, each of a scene that it describes; some are spoilt as the web spoils them."""

    pictures: Annotated[int, Within(0)]
    side: Annotated[int, Within(16, 1024)]  # pixels of an original
    kinds: dict[str, Share]  # of scenes, relative to their sum
    noise: dict[str, Share]  # of pictures whose caption is spoilt in this way (captions/sources.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Captions that the language model writes."""

    per_concept: Annotated[int, Within(0)]
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where a row's parts stand: names, or numbers from 0 as text ("1") in tsv and csv files without a header line."""

    text: str | None  # null: where the format has it (params.yaml lists them)
    image: str | None  # picture or path of one; null: there are none (webdataset: the sample's picture)
    source: str | None  # null: the source's name, which also stands in for an empty cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Captions from elsewhere, in files that captions/reading knows."""

    name: str  # what the captions' `source` is
    path: str  # file, directory of files with the format's ending, or glob
    format: Literal["llava", "tsv", "csv", "jsonl", "parquet", "text", "webdataset", "huggingface"]
    columns: Columns
    images: str | None  # directory that paths of pictures start from; null: the file's own
    limit: Annotated[int, Within(1)] | None  # rows, the first ones; null: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a caption must keep to. Ratios and cosines are inclusive: a value on the limit passes."""

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
    perplexity_max: Annotated[float, Within(1)]  # per token, of the model that `perplexity` names
    near_ngram: Annotated[int, Within(1)]  # characters
    near_jaccard: Share  # of two captions' n-grams, from which on they are near duplicates
    near_bands: Annotated[int, Within(1)]  # of the MinHash signature
    near_rows: Annotated[int, Within(1)]  # hashes in a band
    judge_min: Share  # P(yes) / (P(yes) + P(no)); a server's plain Yes is 1, its No 0
    clip_min: Annotated[float, Within(-1, 1)]  # raw cosine with the original picture
    clip_top_share: Share  # of the captions with an original that got this far


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Who says how surprising a caption is."""

    engine: Literal["llm", "kenlm", "none"]  # captions.llm; a 5-gram model as in Data-Juicer; nobody
    kenlm: str  # directory with en.arpa.bin and en.sp.model, or OWNER/NAME@REVISION of a hub repository with them


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Who says whether a picture can be made from a caption."""

    engine: Literal["llm", "server", "none"]  # captions.llm; an OpenAI-compatible server; nobody
    server: Served
    max_failed_share: Share  # of the captions that a server is asked about, above which the stage fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Blip:
    """BLIP's image-text matching of captions with their originals: the probability that both belong together."""

    model: str  # directory, or OWNER/NAME@REVISION of a hub model
    min: Share
    max: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionParams:
    """The whole section."""

    seed: Annotated[int, Within(0)]
    llm: str  # language model that writes, and judges or measures perplexity where asked to; directory or OWNER/NAME@REVISION
    clip: str  # the model that compares captions with originals: an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    batch: Annotated[int, Within(1)]  # captions per forward pass
    human: Human
    model: Model
    sources: list[Source]
    perplexity: Perplexity
    judge: Judge
    blip: Blip | None  # null: nobody is asked
    limits: Limits

    @property
    def filters_ask_llm(self) -> bool:
        """Whether a filter needs `llm`."""
        return "llm" in (self.perplexity.engine, self.judge.engine)
