"""Perplexity by an n-gram model, number for number as Data-Juicer computes it (SynthVLM's supplement, table 1)."""

from functools import partial
from pathlib import Path

from synthpairs.models.hub import fetch_model, model_folder

_FILES = ("en.arpa.bin", "en.sp.model")
_HUB_FOLDER = "wikipedia"  # where edugp/kenlm has the models that Data-Juicer takes; oscar's are beside it


def kenlm_folder(name: str, key: str) -> Path:
    """The directory with en.arpa.bin and en.sp.model that the param `key` names; of the hub only these two are fetched.

    FileNotFoundError names what is missing.
    """
    wanted = [f"{_HUB_FOLDER}/{file}" for file in _FILES] + list(_FILES)
    folder = model_folder(name, key, partial(fetch_model, files=wanted))
    for place in (folder, folder / _HUB_FOLDER):
        if all((place / file).is_file() for file in _FILES):
            return place
    raise FileNotFoundError(f"params.yaml: {key}: {folder} holds no {' and '.join(_FILES)}")


class Kenlm:
    """A KenLM model and the SentencePiece model of its words."""

    def __init__(self, folder: Path) -> None:
        try:
            import kenlm
        except ImportError:
            raise ValueError(
                "params.yaml: captions.perplexity.engine: kenlm needs the Python package of that name: "
                "pip install 'kenlm>=0.3' (built from source, with cmake and a C++ compiler)"
            ) from None
        from sentencepiece import SentencePieceProcessor

        self._pieces = SentencePieceProcessor(model_file=str(folder / _FILES[1]))
        self._model = kenlm.Model(str(folder / _FILES[0]))

    def perplexity(self, text: str) -> float:
        """10 ** (- sum of log10 scores / (words + 1 for each line's end)) of the text's pieces, to one decimal; 0 without any.

        A rare piece may stand for a line end; what follows it is scored as a line of its own.
        """
        lines = " ".join(self._pieces.encode_as_pieces(text)).splitlines()
        words = sum(len(line.split()) + 1 for line in lines)
        return float(round(10.0 ** (-sum(self._model.score(line) for line in lines) / words), 1)) if words else 0.0
