import dataclasses

from synthpairs.captions.params import Blip, Columns, Judge, Source
from synthpairs.models.language.params import Served
from synthpairs.report.ingredients import licences, licences_table, made_of
from tests.report.conftest import FILES
from tests.selection.conftest import CURATION

GENERATOR, SCORER = FILES["data/images/generator.json"], FILES["data/scores/scorer.json"]
HUB = "owner/{}@0123"


def test_models_of_the_paper_are_named_with_their_revisions():
    parts = {
        "refiner": {"model": HUB.format("refiner"), "base_share": 0.8}, "vae": {"model": HUB.format("vae")},
        "lora": {"model": HUB.format("lora"), "file": "a.safetensors", "scale": 0.5},
    }  # fmt: skip
    generator = GENERATOR | {"inputs": GENERATOR["inputs"] | parts | {"format": "jpg", "quality": 95}}
    judge = Judge(engine="server", server=Served(model="a-judge", extra={}), max_failed_share=0.0)
    asked = dataclasses.replace(CURATION, judge=judge, blip=Blip(model=HUB.format("blip"), min=0.8, max=1.0))
    made = made_of(asked, generator, SCORER)
    assert (made["refiner"], made["autoencoder"]) == (
        "`owner/refiner@0123`, after 80% of the steps",
        "`owner/vae@0123`",
    )
    assert made["LoRA"] == "`owner/lora@0123` a.safetensors, scale 0.5"
    assert made["image"] == "64 x 64 pixels, JPG, quality 95"
    assert "judged by `a-judge`; image-text matching by `owner/blip@0123`;" in made["caption filters"]
    plain = made_of(CURATION, GENERATOR, SCORER)
    assert not plain.keys() & {"refiner", "autoencoder", "LoRA"}
    assert plain["image"] == "64 x 64 pixels, PNG, lossless"


def test_licences_of_files_are_those_that_params_state():
    columns = Columns(text=None, image=None, source=None)
    values = {"path": "x", "format": "tsv", "columns": columns, "images": None, "limit": None}
    sources = [Source(name="cc3m", licence="other", **values), Source(name="a|b", licence=None, **values)]
    known = licences(dataclasses.replace(CURATION, sources=sources), ["cc3m", "a|b", "a column's"])
    assert known == {"cc3m": "other", "a|b": "unknown", "a column's": "unknown"}
    assert licences_table(known).splitlines()[2:4] == ["| `cc3m` | other |", r"| `a\|b` | unknown |"]
