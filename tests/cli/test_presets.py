"""Presets change their values in params.yaml and no other byte; unknown keys are errors."""

import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from synthpairs.__main__ import main
from synthpairs.cli import presets
from synthpairs.cli.doctor import SECTIONS
from synthpairs.core.config import load_params

ROOT = Path(__file__).parents[2]
PARAMS = """\
# The top, with an accent: \u00e9
world:
  # all of them
  concepts:
  - monkey
  - dog
captions:
  count: 12        # per concept
  rate: 1.0e-3     # of learning
  judge: true
  prefix: "A photo of"   # as in the paper
  sources:         # two
  - human
  - model
  shares: {single: 0.6, pair: 0.4}
  limit:   # none
last: x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("presets").mkdir()
    Path("params.yaml").write_text(PARAMS)

    def preset(text):
        Path("presets/small.yaml").write_text(text)

    return preset


def test_only_the_values_of_the_preset_change(folder):
    folder("""
world: {concepts: [dog, 'null', a b]}
captions:
  {count: 3, rate: 2.0e-4, judge: false, prefix: a picture of, sources: [model], shares: {pair: 0.1}, limit: 5}
last: 'true'
""")
    changed = presets.apply("small")
    expected = PARAMS
    for old, new in {
        "  - monkey\n  - dog\n": "  - dog\n  - 'null'\n  - a b\n",
        "count: 12 ": "count: 3  ",
        "rate: 1.0e-3": "rate: 0.0002",
        "judge: true": "judge: false",
        '"A photo of"   ': '"a picture of" ',
        "  - human\n": "",
        "pair: 0.4": "pair: 0.1",
        "limit:  ": "limit: 5",
        "last: x": "last: 'true'",
    }.items():
        assert old in expected
        expected = expected.replace(old, new)
    assert Path("params.yaml").read_text() == expected
    assert changed["captions.shares.pair"] == 0.1
    assert len(changed) == 9
    assert presets.apply("small") == {}


def test_a_mapping_is_added_and_removed_as_a_whole(folder):
    folder("captions: {limit: {model: a/b@c, share: 0.8, tag: 'null'}, shares: null}")
    assert "-S captions.limit={model:'a/b@c',share:0.8,tag:'null'}" in presets.as_flags("small")
    changed = {"captions.limit": {"model": "a/b@c", "share": 0.8, "tag": "null"}, "captions.shares": None}
    assert presets.apply("small") == changed
    text = Path("params.yaml").read_text()
    assert "  limit:   # none\n    model: a/b@c\n    share: 0.8\n    tag: 'null'\nlast" in text
    assert "  shares:\n" in text
    folder("captions: {limit: null, shares: {single: 1}, sources: []}")
    presets.apply("small")
    text = Path("params.yaml").read_text()
    assert "  limit:   # none\nlast" in text
    assert "  shares:\n    single: 1\n  limit" in text
    assert "  sources: []      # two\n" in text
    folder("captions: {shares: {}}")
    assert presets.apply("small") == {"captions.shares": {}}
    assert YAML(typ="safe").load(Path("params.yaml"))["captions"]["shares"] == {}
    assert presets.apply("small") == {}


def test_strings_that_dvc_must_quote_are_written_in_block_style(folder):
    """DVC drops the quotes of {clip: "local-dir:x"}, and the file is invalid; see params.yaml."""
    folder("captions: {limit: {clip: 'local-dir:x', tags: ['a:b', {c: 'd:e'}]}, sources: [{clip: 'local-dir:x'}]}")
    presets.apply("small")
    expected = YAML(typ="safe").load(Path("params.yaml"))
    assert expected["captions"]["limit"]["clip"] == expected["captions"]["sources"][0]["clip"] == "local-dir:x"
    expected["last"] = "y"
    apply_overrides("params.yaml", ["last=y"])
    assert YAML(typ="safe").load(Path("params.yaml")) == expected


def test_line_ends_are_kept(folder):
    preset = "world: {concepts: [dog]}\ncaptions: {count: 3, limit: {a: 1}, sources: []}"
    folder(preset)
    presets.apply("small")
    expected = Path("params.yaml").read_bytes().replace(b"\n", b"\r\n")
    Path("params.yaml").write_bytes(PARAMS.encode().replace(b"\n", b"\r\n"))
    folder(preset.replace("\n", "\r\n"))
    presets.apply("small")
    assert Path("params.yaml").read_bytes() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "captions: {cuont: 3}",
            "presets/small.yaml: captions.cuont is not a key of params.yaml; known are count, rate",
        ),
        ("captoins: {}", "presets/small.yaml: captoins is not a key of params.yaml; known are world, captions, last"),
        ("captions: 3", "presets/small.yaml: captions must be a mapping, as in params.yaml"),
        ("captions: {count: {a: 1}}", "presets/small.yaml: captions.count must be a value, as in params.yaml"),
        ("- 1", "presets/small.yaml: not a mapping"),
        ("a: [", "presets/small.yaml: not valid YAML"),
    ],
)
def test_unknown_keys_are_errors_and_nothing_is_written(folder, text, message):
    folder(text)
    with pytest.raises(ValueError, match=message):
        presets.apply("small")
    assert Path("params.yaml").read_text() == PARAMS


def test_the_command_says_how_to_undo_the_params_and_the_results_of_a_run(folder, caplog):
    caplog.set_level("INFO")
    folder("last: y")
    assert main(["preset", "small"]) == 0
    assert caplog.messages[:2] == ["last: y", "values changed in params.yaml: 1; undo: `git checkout params.yaml`"]
    assert "`git checkout params.yaml dvc.lock reports && dvc checkout`" in caplog.messages[2]


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones(folder, caplog):
    folder("")
    assert main(["preset", "smal"]) == 1
    assert "there is no preset 'smal'; known presets: small" in caplog.text
    assert presets.apply("small") == {}


def test_dvc_reads_the_flags_as_the_preset(folder, tmp_path, capsys):
    folder("""
world: {concepts: [dog, 'null', '1', 'a,b', 'x=y', 'é', '{a}', '[', '"', '', '#', 'local-dir:x', '$a', '<b>', '?', '*']}
captions: {count: .inf, rate: 2.0e-9, judge: false, limit: {clip: 'local-dir:x', b-c: [1.0e+20, {d: null}]}, sources: []}
last: 'true'
""")
    assert main(["preset", "small", "--as-flags"]) == 0
    flags = capsys.readouterr().out.split()
    assert flags[0::2] == ["-S"] * 7
    by_dvc = tmp_path / "by_dvc.yaml"
    by_dvc.write_text(PARAMS)
    apply_overrides(by_dvc, flags[1::2])
    presets.apply("small")
    assert YAML(typ="safe").load(by_dvc) == YAML(typ="safe").load(Path("params.yaml"))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ('a picture of', "a space"), ('"a\\tb"', "a space"), ('"it\'s"', "a quote"), (r"'\d'", "a backslash"),
        ("'${count}'", r"\$\{"), ("'???'", r"\?\?\?"), ("{a b: 1}", "the key 'a b'"), ("{'null': 1}", "the key 'null'"),
        ("{1: 1}", "the key 1"), ("{}", "an empty mapping"), ("[{a: [b c]}]", "a space"),
    ],
)  # fmt: skip
def test_values_that_no_flag_can_hold_are_errors(folder, value, fault):
    folder(f"captions: {{limit: {value}}}")
    with pytest.raises(
        ValueError, match=rf"^presets/small\.yaml: captions\.limit holds {fault}, which no flag can; [^\n]*$"
    ):
        presets.as_flags("small")


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_section_is_valid_with_each_preset(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    assert presets.apply(path.stem)
    for section, kind in SECTIONS.items():
        load_params(kind, section)


def test_presets_that_are_laid_over_paper_leave_no_part_of_its_generator(monkeypatch, tmp_path):
    """Neither Lightning's four steps nor SD3 go with SDXL's refiner."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "presets", "presets")
    for name in ("sdxl-lightning", "better-synth"):
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        for preset in ("paper", name):
            presets.apply(preset)
        assert load_params(SECTIONS["images"], "images").refiner is None
