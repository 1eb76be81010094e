"""dvc.yaml, params.yaml, the imports and the tracked files agree. That the pipeline runs: tests/flows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthpairs.core.source import PACKAGES, import_closure
from tests.pipeline import ROOT, code_deps, git, read_stages, repository_files, within

MB = 1_000_000


# --- Static: what stands in dvc.yaml --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Every stage of every dvc.yaml, also those of desk_models, which is a DVC repository of its own."""
    site = tmp_path_factory.mktemp("site")
    return read_stages(ROOT, site) + read_stages(ROOT, site, "desk_models")


def test_the_main_repository_does_not_see_the_desk_models(tmp_path):
    """So its status, pull, push and experiments do not either; else an edit of a wording would retrain for hours."""
    assert not [stage.address for stage in read_stages(ROOT, tmp_path) if stage.module.parts[0] == "desk_models"]


def test_a_stages_deps_are_the_packages_that_its_code_lies_in(stages):
    """DVC does not follow imports: what is missing changes results unnoticed, what is too much reruns for nothing."""
    problems = []
    made = {out for stage in stages for out in stage.cached | stage.uncached}
    for stage in stages:
        if stage.module.parts[0] == "desk_models":  # in folders outside of its repository DVC would hash __pycache__
            needed = {path.as_posix() for path in import_closure(stage.module)}
        else:
            needed = code_deps(stage.module)
        code = {dep for dep in stage.deps - made if Path(dep).parts[0] in PACKAGES}
        problems += [f"{stage.address}: add {path}" for path in sorted(needed - code)]
        problems += [f"{stage.address}: remove {path}" for path in sorted(code - needed)]
    assert not problems, "\n".join(problems)


def test_every_stage_file_is_a_stage(stages):
    ours = {path.relative_to(ROOT) for path in (ROOT / "stages").rglob("[!_]*.py")}
    assert ours <= {stage.module for stage in stages}


def test_every_dep_is_tracked_by_git_or_made_by_another_stage(stages):
    files = repository_files()
    problems = []
    for stage in stages:
        made = {out for other in stages if other is not stage for out in other.cached | other.uncached}
        for dep in stage.deps:
            is_made = any(within(dep, out) or within(out, dep) for out in made)
            if not is_made and not any(within(file, dep) for file in files):
                problems.append(f"{stage.address}: {dep}")
    assert not problems, "\n".join(problems)


def test_cached_outs_are_ignored_by_git_and_the_others_are_not(stages):
    def ignored(path):
        return subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT).returncode == 0

    assert [out for stage in stages for out in stage.cached if not ignored(out)] == []
    main = [stage for stage in stages if ":" not in stage.address]
    assert [out for stage in main for out in stage.uncached if ignored(out)] == []
    # The other pipelines' outs lie nowhere but where they were made, or `dvc pull` and `dvc checkout` would miss them.
    assert [out for stage in stages if stage not in main for out in stage.cached] == []


def test_yaml_means_the_same_to_libyaml_and_without_it():
    """DVC reads with libyaml where `ruamel.yaml.clib` is installed, and libyaml refuses some of what YAML 1.2 allows."""
    files = [name for name in repository_files() if name.endswith(".yaml") and "/captioning/" not in name]  # lm-eval's
    assert "params.yaml" in files
    for name in files:
        text = (ROOT / name).read_text()
        assert YAML(typ="safe").load(text) == YAML(typ="safe", pure=True).load(text), name


def test_params_that_stages_declare_exist_and_every_section_is_used(stages):
    declared = {pair for stage in stages for pair in stage.params}
    unknown = []
    for file, key in sorted(declared):
        value = YAML(typ="safe").load(ROOT / file)
        for part in key.split("."):
            value = value.get(part, unknown) if isinstance(value, dict) else unknown
        if value is unknown:
            unknown.append((file, key))
    assert unknown == []
    sections = set(YAML(typ="safe").load(ROOT / "params.yaml"))
    assert sections - {key.split(".")[0] for file, key in declared if file == "params.yaml"} == set()


def _called(node):
    """Name of the function that an expression calls, or an empty one."""
    return getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""


def test_a_stage_declares_every_section_that_it_loads(stages):
    problems = []
    for stage in stages:
        declared = {key.split(".")[0] for file, key in stage.params if file == "params.yaml"}
        for node in ast.walk(ast.parse((ROOT / stage.module).read_text())):
            sections = []
            if isinstance(node, ast.FunctionDef) and "stage" in map(_called, node.decorator_list):
                sections = [argument.arg for argument in node.args.args if argument.arg != "arm"]
            elif _called(node) == "load_params":
                sections = [ast.literal_eval(node.args[1])]
            problems += [f"{stage.address}: {section}" for section in sections if section not in declared]
    assert not problems, "\n".join(problems)


def test_outs_of_stages_do_not_overlap(stages):
    outs = [(stage.address, out) for stage in stages for out in sorted(stage.cached | stage.uncached)]
    overlaps = [(a, b) for a in outs for b in outs if a is not b and within(a[1], b[1])]
    assert overlaps == []


@pytest.mark.parametrize("stage", ["emoji", "tasks", "select", "contamination", "gallery"])
def test_stages_without_torch_do_not_import_it(stage):
    """It would cost each of them seconds."""
    code = f"import sys, stages.{stage}; print({{'torch', 'transformers', 'mlflow'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


# --- Static: what stands in the repository --------------------------------------------------------------------------


def test_no_registry_is_named_in_the_repository():
    """Hosts differ from machine to machine; package managers know theirs."""
    hosts = r"pypi\.org|pythonhosted\.org|registry\.npmjs\.|registry\.yarnpkg\.|download\.pytorch\.org"
    forms = r"--(extra-)?index-url[ =]|\"resolved\": *\"http|registry = \"http|https?://[^ ]*/(simple|packages)/"
    found = git("grep", "-lIE", "--untracked", "-e", hosts, "-e", forms, "--", ".", ":!tests/test_pipeline.py")
    assert found.split() == []
    assert "://" not in (ROOT / "packages.lock.yaml").read_text()
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_what_git_holds_stays_small():
    sizes = {name: (ROOT / name).stat().st_size for name in repository_files()}
    assert {name: size for name, size in sizes.items() if size > 25 * MB} == {}
    assert sum(size for name, size in sizes.items() if name.startswith("models/desk/")) <= 90 * MB


def test_nothing_is_tracked_that_is_made_anew_everywhere():
    machine_made = (".dvc/tmp/", ".dvc/cache/", ".venv/", "mlruns/", "mlflow.db", "uv.lock", "data/")
    assert [name for name in git("ls-files").split("\n") if name.startswith(machine_made)] == []
