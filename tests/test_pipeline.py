"""dvc.yaml, params.yaml, the imports and the tracked files agree; and the whole pipeline runs, in small, in a clone."""

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PACKAGES = ("synthpairs", "stages", "pretrain")
UNTRACKED_BY_DVC = {
    "synthpairs/budget.py",
    "synthpairs/launch.py",
    "synthpairs/tracking.py",
    "synthpairs/progress.py",
    *(path.relative_to(ROOT).as_posix() for path in (ROOT / "synthpairs/execution").glob("*.py")),
}  # how a thing is run or shown never changes what it is
MB = 1_000_000


def git(*arguments, cwd=ROOT):
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True).stdout


def repository_files():
    """What a commit of this working tree would hold."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


# --- Static: what stands in dvc.yaml --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One stage as DVC resolves it; paths are relative to the repository's root."""

    address: str
    module: Path
    deps: frozenset[str]
    params: frozenset[tuple[str, str]]  # (file, key)
    cached: frozenset[str]
    uncached: frozenset[str]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Every stage of every dvc.yaml."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        repo = Repo(str(ROOT))
    with repo:
        for stage in repo.index.stages:
            command = stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd)
            module = re.match(r"python -m ([\w.]+)", command)
            assert module, f"{stage.addressing}: {command} does not start with `python -m`"

            def name(path, folder=stage.wdir):
                return os.path.relpath(os.path.join(folder, path), ROOT)

            files = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            tracked = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            found.append(
                Stage(
                    address=stage.addressing,
                    module=Path(module[1].replace(".", "/") + ".py"),
                    deps=frozenset(name(dep.def_path) for dep in files),
                    params=frozenset((name(dep.def_path), key) for dep in tracked for key in dep.params),
                    cached=frozenset(name(out.def_path) for out in stage.outs if out.use_cache),
                    uncached=frozenset(name(out.def_path) for out in stage.outs if not out.use_cache),
                )
            )
    return found


def module_files(name):
    """The file of a dotted first-party name, and the `__init__` files on the way that hold more than a docstring."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        package, module = Path(*parts[:depth], "__init__.py"), Path(*parts[:depth]).with_suffix(".py")
        if depth == len(parts) and (ROOT / module).exists():
            yield module
        elif (ROOT / package).exists() and len(ast.parse((ROOT / package).read_text()).body) > 1:
            yield package


def direct_imports(path):
    """First-party files that a module imports anywhere in it, and files beside it that it names (its data)."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from module_files(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*path.parts[: -node.level], node.module or ""]) if node.level else node.module
            for alias in node.names:
                yield from module_files(f"{base}.{alias.name}".replace("..", "."))
                yield from module_files(base.rstrip("."))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.-]+", str(node.value)):
            data = path.parent / str(node.value)
            if (ROOT / data).is_file() and data.name != "params.yaml":  # of params DVC tracks the values, not the file
                yield data


def import_closure(module):
    """All first-party files that running a module can execute or read from the code's own folders."""
    seen, todo = set(), [module]
    while todo:
        path = todo.pop()
        if path.as_posix() not in seen | UNTRACKED_BY_DVC:
            seen.add(path.as_posix())
            todo += direct_imports(path) if path.suffix == ".py" else []
    return seen


def as_deps(needed):
    """Files as dvc.yaml names them: by their folder where all of several in it are needed. DVC rewrites dvc.lock, which has
    four lines for each name, after every stage.
    """
    holding = {}  # the files in each folder below the packages
    for path in map(Path, repository_files()):
        empty = path.name == "__init__.py" and len(ast.parse((ROOT / path).read_text()).body) < 2
        if path.parts[0] in PACKAGES and not empty:
            for folder in path.parents[:-2]:
                holding.setdefault(folder, set()).add(path.as_posix())
    whole = {folder for folder, files in holding.items() if len(files) > 1 and files <= needed}
    folders = {folder.as_posix() for folder in whole if not whole & set(folder.parents)}
    return folders | {path for path in needed if not any(within(path, folder) for folder in folders)}


def within(path, folder):
    return Path(path) == Path(folder) or Path(folder) in Path(path).parents


def test_a_stages_deps_are_exactly_the_code_it_imports(stages):
    """DVC does not follow imports: what is missing changes results unnoticed, what is too much reruns for nothing."""
    problems = []
    made = {out for stage in stages for out in stage.cached | stage.uncached}
    for stage in stages:
        needed = as_deps(import_closure(stage.module))
        code = {dep for dep in stage.deps - made if Path(dep).parts[0] in PACKAGES}
        problems += [f"{stage.address}: add {path}" for path in sorted(needed - code)]
        problems += [f"{stage.address}: remove {path}" for path in sorted(code - needed)]
    assert not problems, "\n".join(problems)


def test_every_stage_file_is_a_stage(stages):
    ours = {path.relative_to(ROOT) for path in (ROOT / "stages").glob("[!_]*.py")}
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
    assert [out for stage in stages for out in stage.uncached if ignored(out)] == []


def test_yaml_means_the_same_to_libyaml_and_without_it():
    """DVC reads with libyaml where `ruamel.yaml.clib` is installed, and libyaml refuses some of what YAML 1.2 allows."""
    files = [name for name in repository_files() if name.endswith(".yaml")]
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


def test_a_stage_declares_every_section_that_it_loads(stages):
    problems = []
    for stage in stages:
        declared = {key.split(".")[0] for file, key in stage.params if file == "params.yaml"}
        for node in ast.walk(ast.parse((ROOT / stage.module).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_params":
                section = ast.literal_eval(node.args[1])
                if section not in declared:
                    problems.append(f"{stage.address}: {section}")
    assert not problems, "\n".join(problems)


def test_outs_of_stages_do_not_overlap(stages):
    outs = [(stage.address, out) for stage in stages for out in sorted(stage.cached | stage.uncached)]
    overlaps = [(a, b) for a in outs for b in outs if a is not b and within(a[1], b[1])]
    assert overlaps == []


@pytest.mark.parametrize("stage", ["art", "tasks", "select", "audit", "gallery"])
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


# --- The whole pipeline, in small, in a clone -----------------------------------------------------------------------


@dataclass(frozen=True)
class Clone:
    """A repository of its own with what this one would commit, and an environment that touches nothing outside it."""

    path: Path
    env: dict[str, str]

    def run(self, *command, seconds=1500):
        """Output of a command; its exit code must be 0."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}"
        return done.stdout

    def commit(self, message):
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def status(self):
        return self.run("git", "status", "--porcelain")


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """The clone, committed. Its package cache is this checkout's: what is pinned by hash need not come twice."""
    base = tmp_path_factory.mktemp("clone")
    path, home = base / "repository", base / "home"
    home.mkdir()
    for name in repository_files():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    packages = ROOT / ".dvc/tmp/packages"
    packages.mkdir(parents=True, exist_ok=True)
    (path / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    (path / ".dvc/tmp/packages").symlink_to(packages)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    env = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(base / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(base / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(base / "system"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "SYNTHPAIRS_TRACKING": "off",
        "TOKENIZERS_PARALLELISM": "false",
    }
    made = Clone(path, env)
    made.run("git", "init", "--quiet")
    made.commit("the repository")
    return made


# What a stage opens to read it, noted in a file: a `sitecustomize` module, which Python imports at its start.
WATCH = """
import os, sys
noted = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def watch(event, arguments):
    if event == "open" and "DVC_STAGE" in os.environ and isinstance(arguments[0], str):
        path, mode, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR):
            os.write(noted, f"{os.environ['DVC_STAGE']}\\0{os.path.abspath(path)}\\n".encode())
sys.addaudithook(watch)
"""


@pytest.fixture(scope="session")
def smoke(clone, tmp_path_factory):
    """What was opened, by stage, and what was printed when the clone made everything with the smallest params."""
    clone.run("python", "-m", "synthpairs", "preset", "smoke")
    clone.commit("the smoke preset")
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(WATCH)
    watched = {"PYTHONPATH": str(folder), "OPENED": str(folder / "opened")}
    watching = Clone(clone.path, clone.env | watched)
    printed = watching.run("dvc", "repro")
    opened = {}
    for line in (folder / "opened").read_text().splitlines():
        stage, path = line.split("\0")
        if Path(path).is_relative_to(clone.path):
            opened.setdefault(stage, set()).add(os.path.relpath(path, clone.path))
    return opened, printed


needs_preset = pytest.mark.skipif(
    not (ROOT / "presets/smoke.yaml").exists(), reason="presets/smoke.yaml is not written yet"
)


@needs_preset
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_pipeline_runs_and_leaves_the_repository_clean(clone, smoke, stages):
    """First the results that git sees have changed, and nothing else; once they are committed, nothing runs again."""
    assert "Running stage" in smoke[1]
    shown = {out for stage in stages for out in stage.uncached} | {"dvc.lock"}
    changed = [line[3:].rstrip("/") for line in clone.status().splitlines()]
    assert [path for path in changed if not any(within(path, out) or within(out, path) for out in shown)] == []
    clone.commit("results")
    again = clone.run("dvc", "repro", seconds=120)
    assert "Running stage" not in again
    assert clone.status() == ""


@needs_preset
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_stage_reads_nothing_that_is_not_among_its_deps(smoke, stages):
    """Else it could start before that is there, and would not run again when it changes. Seen is what Python itself opens."""
    opened, problems = smoke[0], []
    for stage in stages:
        known = stage.deps | stage.cached | stage.uncached
        for path in sorted(opened.get(stage.address, ())):
            if Path(path).parts[0] in ("data", "models", "reports") and not any(within(path, name) for name in known):
                problems.append(f"{stage.address}: {path}")
    assert "reports/perplexity.json" in opened["report"]
    assert not problems, "\n".join(problems)


@needs_preset
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_held_out_is_seen_by_any_training(clone, smoke):
    """Proven from the tables that the pipeline made, by the drawings that each row shows."""
    drawings = pd.read_parquet(clone.path / "data/art/drawings.parquet").set_index("drawing")
    splits = {}
    for path in sorted((clone.path / "data").glob("*/*.parquet")):
        table = pd.read_parquet(path)
        if "drawings" in table:
            shown = {drawing for row in table["drawings"] for drawing in row}
            splits[path.relative_to(clone.path / "data").as_posix()] = set(drawings.loc[sorted(shown), "split"])
    benchmarks = {name: seen for name, seen in splits.items() if name.startswith("tasks/desk_")}
    training = {name: seen for name, seen in splits.items() if name not in benchmarks}
    assert {"tasks/instructions.parquet", "captions/kept.parquet"} <= set(training)
    assert benchmarks
    assert all(seen <= {"train"} for seen in training.values()), training
    assert all(seen <= {"heldout_combination", "heldout_style"} for seen in benchmarks.values()), benchmarks
