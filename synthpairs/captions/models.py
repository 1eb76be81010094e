"""Models of the caption filters, loaded once and only if used.

Their libraries are imported on use too, as they take more memory than a million captions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthpairs.captions.params import CaptionParams
from synthpairs.core.storage import file_sha256
from synthpairs.models.hub import hub_record, with_licences
from synthpairs.models.language.kenlm import Kenlm, kenlm_folder
from synthpairs.models.language.server import Server

if TYPE_CHECKING:
    from synthpairs.captions.blip_filter import BlipFilter
    from synthpairs.models.language.model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The loaded models; None if unused."""

    lm: "LanguageModel | None"
    weights: str | None  # SHA-256 of the language model's directory
    kenlm: Path | None  # directory of the 5-gram model, which each worker maps into memory
    server: Server | None
    blip: "BlipFilter | None"
    hub: dict[str, dict[str, str]]  # by param: name, commit, hash and licence of a hub model


def load_models(params: CaptionParams, writes: bool = False) -> Models:
    """Load the filters' models, and the language model if it `writes`; ValueError or OSError when one is not available."""
    folders: dict[str, tuple[str, Path]] = {}
    kenlm = blip = lm = None
    if params.perplexity.engine == "kenlm":
        kenlm = kenlm_folder(params.perplexity.kenlm, "captions.perplexity.kenlm")
        Kenlm(kenlm)  # raises errors here instead of in a worker
        folders["perplexity.kenlm"] = params.perplexity.kenlm, kenlm
    server = Server.from_environment() if params.judge.engine == "server" else None
    if params.blip is not None:
        from synthpairs.captions.blip_filter import BlipFilter

        blip = BlipFilter(params.blip, params.batch_size)
        folders["blip.model"] = params.blip.model, blip.folder
    if writes or params.filters_ask_llm:
        from synthpairs.models.language.model import language_model_folder, load

        folder = language_model_folder(params.llm, "captions.llm")
        lm = load(folder)
        folders["llm"] = params.llm, folder
    return Models(
        lm=lm,
        weights=file_sha256(folders["llm"][1]) if lm else None,
        kenlm=kenlm,
        server=server,
        blip=blip,
        hub=with_licences({key: hub_record(name, folder) for key, (name, folder) in folders.items()}),
    )
