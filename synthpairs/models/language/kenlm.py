"""Perplexity by a KenLM n-gram model, equal to Data-Juicer's (SynthVLM's supplement, table 1)."""

from functools import partial
from pathlib import Path
from typing import Any

from synthpairs.models.hub import fetch_model, model_folder

_FILES = ("en.arpa.bin", "en.sp.model")
_HUB_FOLDER = "wikipedia"  # of edugp/kenlm, with the models that Data-Juicer uses; others are trained on OSCAR


def kenlm_folder(name: str, key: str) -> Path:
    """Directory of en.arpa.bin and en.sp.model that the param `key` names; of a hub model only these are downloaded."""
    wanted = [f"{_HUB_FOLDER}/{file}" for file in _FILES] + list(_FILES)
    folder = model_folder(
        name, key, partial(fetch_model, files=wanted), made_by=f"{' and '.join(_FILES)} of edugp/kenlm"
    )
    for path in (folder, folder / _HUB_FOLDER):
        if all((path / file).is_file() for file in _FILES):
            return path
    raise FileNotFoundError(f"params.yaml: {key}: {folder} holds no {' and '.join(_FILES)}")


def kenlm_package() -> Any:
    """The package kenlm; ValueError when it is not installed."""
    try:
        import kenlm
    except ImportError:
        raise ValueError(
            "params.yaml: captions.perplexity.engine: kenlm needs the Python package of that name: "
            "pip install 'kenlm>=0.3' (built from source, with cmake and a C++ compiler)"
        ) from None
    return kenlm


class Kenlm:
    """A KenLM model and its SentencePiece tokenizer."""

    def __init__(self, folder: Path) -> None:
        kenlm = kenlm_package()
        from sentencepiece import SentencePieceProcessor

        self._pieces = SentencePieceProcessor(model_file=str(folder / _FILES[1]))
        self._model = kenlm.Model(str(folder / _FILES[0]))

    def perplexity(self, text: str) -> float:
        """10 ** (-sum of log10 scores / (pieces + lines)), to one decimal; 0 for a text without pieces.

        A rare piece may be a line end; the text behind it is scored as a line of its own.
        """
        lines = " ".join(self._pieces.encode_as_pieces(text)).splitlines()
        words = sum(len(line.split()) + 1 for line in lines)
        return float(round(10.0 ** (-sum(self._model.score(line) for line in lines) / words), 1)) if words else 0.0
