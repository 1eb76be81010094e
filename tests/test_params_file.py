"""params.yaml stays what it is when DVC writes into it, as `dvc exp run -S` does: other values, comments and lines."""

import json
import re
import shutil
from difflib import unified_diff
from pathlib import Path

import pytest
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml
from ruamel.yaml import YAML

from synthpairs.cli import presets
from synthpairs.cli.doctor import SECTIONS
from synthpairs.core.config import load_params

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()
PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
COLON = "local-dir:other"  # the text that DVC wrote without its quotes where it could not be read without them


@pytest.fixture
def params(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(ROOT / "params.yaml", "params.yaml"))


def read(path):
    """The document as DVC reads it, which is as it reads it to write it again."""
    document, again = load_yaml(path), YAML().load(path)
    assert json.dumps(document) == json.dumps(again)  # tells 1, 1.0 and true apart
    return document


def leaves(value, keys=()):
    """The keys and the value of every setting; an empty mapping is one."""
    if not (isinstance(value, dict) and value):
        return [(keys, value)]
    return [leaf for key, item in value.items() for leaf in leaves(item, (*keys, key))]


def other(value):
    """Another value of the same type; text for null, and a number more in a mapping that is empty."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [*value[1:], COLON]
    if isinstance(value, int | float):
        return value + 1
    return {"top_k": 1} if value == {} else COLON


def flag(keys, value):
    """What stands behind `-S` to give the key its value: JSON, but for keys without quotes."""
    if isinstance(value, dict):  # a key that is new
        ((key, item),) = value.items()
        return f"+{'.'.join(keys)}.{key}={item}"
    written = re.sub(r'"([\w-]+)":', r"\1:", json.dumps(value, ensure_ascii=False))
    return f"{'.'.join(keys)}={written}"


def put(document, keys, value):
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


def put_k(params, expected):
    """Write another `num_pairs` by DVC, and see that nothing else changes."""
    put(expected, ("select", "num_pairs"), 10)
    apply_overrides(params, ["select.num_pairs=10"])
    assert read(params) == expected


def comments(text):
    """Every comment and empty line with the key that it stands beside or before."""
    placed, above, key = [], [], None
    for line in text.splitlines():
        code, *comment = re.split(r"(?:^|\s+)(?=#)", line, maxsplit=1)
        key = re.match(r"\s*([\w-]+):", code) or key
        above += comment or ([""] if not line else [])
        if code.strip():
            placed += [(comment, key[1]) for comment in above]
            above = []
    return placed + [(comment, "") for comment in above]


def test_dvc_changes_hardly_more_than_the_value(params):
    apply_overrides(params, [f"select.num_pairs={read(params)['select']['num_pairs'] + 1}"])
    removed = [line[1:].strip() for line in unified_diff(TEXT.split("\n"), params.read_text().split("\n"), n=0)
               if re.match("-[^-]", line)]  # fmt: skip
    assert [line.split(":")[0] for line in removed] == ["num_pairs", "system"]
    assert params.stat().st_size != len(TEXT.encode())  # by which git sees a change within the second of a checkout


def test_all_values_can_be_set_together(params):
    expected = read(params)
    changes = [(keys, other(value)) for keys, value in leaves(expected)]
    assert len(changes) > 300
    for keys, value in changes:
        put(expected, keys, value)
    apply_overrides(params, [flag(keys, value) for keys, value in changes])
    assert read(params) == expected
    assert comments(params.read_text()) == comments(TEXT)


def test_every_list_can_be_emptied(params):
    for keys, value in leaves(read(params)):
        if not isinstance(value, list):
            continue
        params.write_text(TEXT)
        expected = read(params)
        put(expected, keys, [])
        apply_overrides(params, [flag(keys, [])])
        assert read(params) == expected, keys
        assert comments(params.read_text()) == comments(TEXT), keys


def examples():
    """The section, the key and the lines to put in its line's place of every example in the comments of params.yaml."""
    section, above = "", []
    for line in TEXT.splitlines():
        code, *beside = re.split(r"(?:^|\s+)(?=#)", line, maxsplit=1)
        match = re.match(r"( *)([\w-]+):", code)
        if match is None:
            above += beside
            continue
        indent, key = match.groups()
        section = section if indent else key
        block = [comment[2:] for comment in above if re.match(rf"# (  |{key}:$)", comment)]
        if block:
            block = block if block[0] == f"{key}:" else [f"{key}:", *block]
            yield section, line, "\n".join(indent + one for one in block)
        for comment in above + beside:
            for example in [] if comment[2:] in block else re.findall(r"\{\w+: [^{}]*\}", comment):
                yield section, line, f"{indent}{key}: {example}"
        above = []


@pytest.mark.parametrize(("section", "line", "pasted"), list(examples()), ids=lambda text: text.split(":")[0].strip())
def test_an_example_can_be_pasted_in(section, line, pasted, params):
    before, head, text = TEXT.partition(f"\n{section}:")
    params.write_text(before + head + text.replace(f"\n{line}\n", f"\n{pasted}\n", 1))
    expected = read(params)
    assert expected != load_yaml(ROOT / "params.yaml")
    load_params(SECTIONS[section], section)
    put_k(params, expected)


@pytest.mark.parametrize(
    "names",
    [[name] for name in PRESETS]
    + [["paper", "better-synth"], ["paper", "paper-13b", "paper-lora"], ["paper", "synth2"]],
    ids="+".join,
)
def test_dvc_writes_into_what_a_preset_wrote(names, params):
    for name in names:
        changed = presets.apply(name)
    written, expected = params.read_text(), read(params)
    for key, value in changed.items():
        put(expected, tuple(key.split(".")), value)
    put_k(params, expected)
    assert comments(params.read_text()) == comments(written) == comments(TEXT)


@pytest.mark.parametrize("name", PRESETS)
def test_flags_write_what_the_preset_writes(name, params):
    if key := {"paper": "scores.prefix", "synth2": "class_captions.prompt.request"}.get(name):
        message = rf"^presets/{name}.yaml: {key} holds a space, which no flag can; [^\n]*$"
        with pytest.raises(ValueError, match=message):
            presets.as_flags(name)
        return
    if name.startswith("paper-"):  # laid over it
        presets.apply("paper")
    flags = presets.as_flags(name).split(" ")
    assert set(flags[::2]) == {"-S"}
    assert list(to_path_overrides(flags[1::2])) == ["params.yaml"]
    by_dvc = Path(shutil.copy("params.yaml", "by_dvc.yaml"))
    apply_overrides(by_dvc, to_path_overrides(flags[1::2])["params.yaml"])
    presets.apply(name)
    apply_overrides(params, [])  # which breaks long lines
    assert re.sub(" +#", " #", by_dvc.read_text()) == re.sub(" +#", " #", params.read_text())
