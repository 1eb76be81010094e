"""Perplexity by a tiny ARPA model with sums by hand, and a SentencePiece model trained here."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sentencepiece

from synthpairs.models.language.kenlm import Kenlm, kenlm_folder

# log10 probabilities and back-off weights; SentencePiece marks the start of a word with U+2581.
ARPA = """\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.25
-1.0\t</s>
-0.5\t\u2581a\t-0.125
-0.75\t\u2581dog\t-0.375
-1.25\t\u2581cat

\\2-grams:
-0.25\t<s> \u2581a
-0.5\t\u2581a \u2581dog
-0.125\t\u2581dog </s>

\\end\\
"""
NEEDS_KENLM = pytest.mark.skipif(importlib.util.find_spec("kenlm") is None, reason="the extra `kenlm` is not installed")


class ArpaModel:
    """Reads a small ARPA file of two orders and scores a line as KenLM does."""

    def __init__(self, path):
        self.weights = {}
        for line in Path(path).read_text().splitlines():
            cells = line.split("\t")
            if len(cells) >= 2:
                self.weights[tuple(cells[1].split())] = float(cells[0]), float(cells[2]) if len(cells) > 2 else 0.0

    def score(self, line):
        total, before = 0.0, "<s>"
        for word in [*(word if (word,) in self.weights else "<unk>" for word in line.split()), "</s>"]:
            if (before, word) in self.weights:
                total += self.weights[before, word][0]
            else:
                total += self.weights[before,][1] + self.weights[word,][0]
            before = word
        return total


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with both files; the pieces are whole words."""
    folder = tmp_path_factory.mktemp("kenlm")
    (folder / "en.arpa.bin").write_text(ARPA)  # KenLM reads text as well as its binary form
    (folder / "words.txt").write_text("a dog\na cat\na dog a cat\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"), model_prefix=str(folder / "en.sp"), vocab_size=8, model_type="word",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return folder


@pytest.fixture(params=[pytest.param("kenlm", marks=NEEDS_KENLM), "reader"])
def model(request, folder, monkeypatch):
    """By the package itself, and by the tests' own reader of ARPA files."""
    if request.param == "reader":
        monkeypatch.setitem(sys.modules, "kenlm", SimpleNamespace(Model=ArpaModel))
    return Kenlm(folder)


@pytest.mark.parametrize(
    ("text", "log10", "words"),
    [
        ("a dog", -0.25 - 0.5 - 0.125, 2),
        ("a cat", -0.25 - 0.125 - 1.25 + 0 - 1.0, 2),  # a cat: backs off by a's weight; cat </s>: cat has none
        ("dog", -0.25 - 0.75 - 0.125, 1),
        ("a  bird", -0.25 - 0.125 - 1.5 - 1.0, 2),  # unknown; SentencePiece takes two spaces for one
        (" ", None, 0),
    ],
)
def test_perplexity_is_what_the_arpa_file_adds_up_to(model, text, log10, words):
    assert model.perplexity(text) == (round(10 ** (-log10 / (words + 1)), 1) if words else 0.0)


@NEEDS_KENLM
def test_the_arpa_model_scores_like_the_package(folder):
    import kenlm as package

    ours, theirs = ArpaModel(str(folder / "en.arpa.bin")), package.Model(str(folder / "en.arpa.bin"))
    for line in ("", "\u2581a", "\u2581dog \u2581a \u2581cat", "x y \u2581dog"):
        assert ours.score(line) == pytest.approx(theirs.score(line), abs=1e-6)


def test_without_the_package_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(ValueError, match=r"perplexity\.engine: kenlm needs .*: pip install 'kenlm>=0\.3'"):
        Kenlm(folder)


def test_the_files_are_in_a_directory_or_in_the_hubs_folder(folder, tmp_path, monkeypatch):
    assert kenlm_folder(str(folder), "x") == folder
    with pytest.raises(FileNotFoundError, match=r"params\.yaml: x: .* holds no en\.arpa\.bin and en\.sp\.model"):
        kenlm_folder(str(tmp_path), "x")
    shutil.copytree(folder, tmp_path / "hub/wikipedia")

    def fetch(model, revision, allow_patterns):
        assert (model, revision) == ("edugp/kenlm", "abc")
        assert {"wikipedia/en.arpa.bin", "wikipedia/en.sp.model"} < set(allow_patterns)
        return str(tmp_path / "hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert kenlm_folder("edugp/kenlm@abc", "x") == tmp_path / "hub/wikipedia"
