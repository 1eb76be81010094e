import io
import json
import re
import shutil
from dataclasses import asdict
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import report as stage
from synthpairs.core.schema import CANDIDATES, CAPTIONS, CONTAMINATION, PAIRS, REJECTED, SCORES, SELECTED
from synthpairs.core.storage import read_json, read_shard, read_table, shard_bytes, write_bytes, write_json, write_table
from synthpairs.emoji.tasks.definitions import PICTURED
from synthpairs.evaluation.diversity.clusters import measure_diversity
from synthpairs.report.headline import headline
from synthpairs.report.params import KeyTask
from synthpairs.report.tables import FIGURES
from tests.report.conftest import DIVERSITY, PARAMS, PARAMS_YAML, PERPLEXITY, PREFERENCE, write_answers


@pytest.fixture(scope="module")
def twice(made_project, tmp_path_factory):
    """Contents of all written files, after a first and after a second run of the stage."""
    root, runs = tmp_path_factory.mktemp("twice"), []
    shutil.copytree(made_project, root, dirs_exist_ok=True)
    folders = (root / "reports" / FIGURES, root / "reports/plots")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SYNTHPAIRS_TRACKING", "off")
        for _ in range(2):
            stage.main()
            pages = (root / "reports/README.md", root / "reports/headline.json")
            written = [*pages, *(path for folder in folders for path in sorted(folder.iterdir()))]
            runs.append({path.name: path.read_bytes() for path in written})
            write_bytes(folders[0] / "old.png", b"left by an older version")
    return runs


def page_of(project, **values):
    """The page for other values in params.yaml, after a check of its images."""
    write_json(project / "params.yaml", PARAMS_YAML | values)
    stage.main()
    page = (project / "reports/README.md").read_text()
    assert not re.search(r"nan|None", page)
    for name in re.findall(rf"\({FIGURES}/([^)]+)\)", page):
        Image.open(project / "reports" / FIGURES / name).verify()
    return page


def test_two_runs_give_the_same_bytes(twice):
    assert twice[0] == twice[1]


def test_every_figure_is_shown_and_valid(twice):
    page = twice[0]["README.md"].decode()
    shown = re.findall(rf"!\[[^\]]+\]\({FIGURES}/([^)]+)\)", page)
    assert sorted(shown) == sorted(name for name in twice[0] if name.endswith(".png"))
    for name in shown:
        Image.open(io.BytesIO(twice[0][name])).verify()


def test_the_page_names_the_preset_first(project):
    (project / "presets").mkdir()
    (project / "presets/small.yaml").write_text("# A try.\nselect: {num_pairs: 20}\n")
    assert page_of(project).startswith("# Results\n\n> **Made with the preset `small`.** A try.\n\n")


def test_a_benchmark_that_scores_no_single_answer_is_in_the_tables_alone(project):
    """As MMBench, whose number lmms-eval makes of all answers."""
    number = {
        "metric": "gpt_eval_score",
        "higher_is_better": True,
        "value": 61.5,
        "low": None,
        "high": None,
        "stderr": None,
    }
    for path in (project / "reports/benchmarks").glob("*.json"):
        write_json(path, read_json(path, "") | {"mmbench_en_dev_static": number | {"n": 4329, "categories": {}}})
    page = page_of(project)
    assert "| mmbench_en_dev_static | gpt_eval_score | 4,329 | 61.5" in page
    assert "| mmbench_en_dev_static | random - selected" not in page


def test_page_answers_first_and_holds_every_section(twice):
    page = twice[0]["README.md"].decode()
    assert page.index("worth training") < page.index("## Arms compared") < page.index("## The Synth2 route")
    assert "`selected` against `random`: **no difference shown** on any of 3 benchmarks; true differences of 0." in page
    for anchor in re.findall(r"\]\(#([^)]+)\)", page):
        assert anchor in {
            re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-") for line in page.splitlines()
        }
    assert [heading for heading in (
        "Generated against original images", "Is language kept?", "Synthetic and real pairs compared", "What SSIM prefers",
        "Counts through the filters", "Scores", "The pairs", "Contamination and duplicates", "The desk models",
    ) if f"\n## {heading}\n" not in page] == []  # fmt: skip
    assert "Deliberately corrupted captions that were kept: 1 of 5 (0 of 2 file name, 1 of 3 html)." in page
    assert "| clip heldout\\_combination | 6 | 0.500 | 0.900 | - | - |" in page
    assert not re.search(r"nan|None|\d{4}-\d{2}-\d{2}| seconds", page)


def test_licences_of_the_filters_models_and_of_both_routes_are_shown(project):
    for name, file in (("blip", "captions"), ("llm", "finetune/real"), ("tokenizer", "pretrain/genpair")):
        path = project / f"reports/metrics/{file}.json"
        record = {"model": f"owner/{name}@main", "licence": "openrail++"}
        write_json(path, json.loads(path.read_text()) | {"hub": {name: record}})
    page = page_of(project)
    assert all(f"| `owner/{name}@main` | openrail++ |" in page for name in ("blip", "llm", "tokenizer"))


def test_desk_models_that_were_not_measured_are_a_line(project):
    (project / "models/desk/metrics.json").unlink()
    assert "metrics.json is missing: `python -m desk_models.publish` writes it." in page_of(project)


def test_unreadable_images_do_not_fail_the_report(project):
    for shard in (project / "data/images").glob("shard-*.tar"):
        write_bytes(shard, shard_bytes((key, files | {"png": b"\x89PNG broken"}) for key, files in read_shard(shard)))
    page_of(project)
    assert Image.open(project / "reports" / FIGURES / "best.png").size[0] == 2 * (32 + 16)


def test_key_tasks_must_have_a_blind_baseline(project):
    assert get_args(KeyTask) == PICTURED
    with pytest.raises(ValueError, match=r"report\.key_tasks\[0\] must be one of desk_caption, .*; got 'desk_text'"):
        page_of(project, report=asdict(PARAMS) | {"key_tasks": ["desk_text"]})


@pytest.mark.parametrize(
    ("tasks", "answer"),
    [
        (["desk_sqa"], "Not evaluated: no arm has results on a key task (desk_sqa)."),
        ([], "Not evaluated: no arm has results on a key task (`report.key_tasks` is empty)."),
        (["desk_sqa", "desk_pope"], "Not evaluated: desk_sqa."),
    ],
)
def test_key_tasks_without_results_are_named(project, tasks, answer):
    page = page_of(project, report=asdict(PARAMS) | {"key_tasks": tasks})
    assert page.split("## The pairs")[0].count(answer) == 2, "for each route"


@pytest.mark.parametrize("arms", [[], ["selected"], ["random"], ["real", "random"], ["selected", "real"]])
def test_any_arms_make_a_page(project, arms):
    page = page_of(project, arms=arms)
    assert ("worth training a vision" in page) == bool(arms)
    assert (project / "reports" / FIGURES / "real.png").exists() == ("real" in arms)
    assert ("Are the selected pairs as good as real ones?" in page) == (arms == ["selected", "real"])


def test_a_run_without_arms_says_so(project):
    assert "No arm was trained: `arms` is empty." in page_of(project, arms=[], token_arms=[])


def test_a_run_of_the_synth2_route_alone_answers_its_question_first(project):
    top = page_of(project, arms=[]).split("## The pairs")[0]
    assert "worth training" not in top
    assert top.startswith("# Results\n\n**Do generated pairs of VQ tokens help")
    assert "| real-tokens |" in top


@pytest.mark.parametrize("arms", [[], ["real-tokens"], ["synthetic"], ["genpair", "real-tokens"]])
def test_any_arms_on_vq_tokens_make_a_page(project, arms):
    page = page_of(project, token_arms=arms)
    assert ("Do generated pairs of VQ tokens help" in page) == bool(arms)
    assert ("No arm was trained on VQ tokens (`token_arms` is empty)" in page) == (not arms)
    assert ("## The Synth2 route" in page) == ("### Claims of the paper" in page) == bool(arms)
    assert ("Does it help to draw generated pairs in place of some real ones?" in page) == (len(arms) == 2)


def test_without_benchmarks_there_is_a_page(project):
    nothing = read_table(project / "reports/benchmarks/items/real.parquet", "")[:0]
    for path in (project / "reports/benchmarks").glob("*.json"):
        write_answers(project, path.stem, nothing)
    page = page_of(project)
    assert "No benchmark was run: `benchmark.tasks.pictures` is empty." in page
    assert "No benchmark was run: `benchmark.tasks.tokens` is empty." in page


def test_a_run_of_a_single_pair_makes_a_page(project):
    """One candidate, selected; no real pair, no VQ tokens, nothing rejected, no caption set that is large enough, one concept."""
    for path in sorted((project / "reports/benchmarks/items").iterdir()):
        write_answers(project, path.stem, read_table(path, "").assign(concept="cat"))
    only = read_table(project / "data/selection/selected.parquet", "")[:1]
    for name, schema, column in (
        ("images/manifest", CANDIDATES, "key"),
        ("scores/scores", SCORES, "key"),
        ("contamination/contamination", CONTAMINATION, "key"),
        ("captions/kept", CAPTIONS, "uid"),
        ("captions/rejected", REJECTED, None),
        ("generated_tokens/manifest", CANDIDATES, None),
        ("selection/selected", SELECTED, "key"),
        ("selection/pairs/selected", PAIRS, "key"),
        ("selection/pairs/random", PAIRS, "key"),
        ("selection/pairs/real", PAIRS, None),
    ):
        path = project / f"data/{name}.parquet"
        rows = read_table(path, "")
        write_table(path, rows[rows[column].isin(only[column])] if column else rows[:0], schema)
    one = pd.DataFrame({"uid": ["u"], "text": ["a dog"]})
    diversity = measure_diversity(
        {"reference": one, "class-captions": one[:0]}, DIVERSITY, lambda texts: np.zeros((len(texts), 2))
    )
    write_json(project / "reports/diversity.json", diversity)
    write_json(project / "reports/preference.json", PREFERENCE | {"judges": {}, "not_asked": "1 caption"})
    left_out = {"order": [], "left_out": ["models/vlm/real/finetuned"]}
    write_json(project / "reports/perplexity.json", PERPLEXITY | left_out)
    page = page_of(project)
    assert [
        text
        for text in (
            "Not asked: 1 caption.",
            "Not asked: `models/vlm/real/finetuned` belong to arms that are not trained.",
            "Too few captions to say: class-captions (n = 0); reference (n = 1).",
            "No VQ tokens were generated",
            "### The best 1\n",
            "### 0 random real pairs",
        )
        if text not in page
    ] == []


def test_the_stages_metrics_are_the_headline_numbers(twice, results, synth2_results):
    assert json.loads(twice[0]["headline.json"]) == headline(results, synth2_results, PARAMS.key_tasks)


def test_tables_for_dvc_plots_agree_with_the_results(twice, results):
    tables = {name: pd.read_csv(io.BytesIO(content)) for name, content in twice[0].items() if name.endswith(".csv")}
    values = tables["benchmarks.csv"].set_index("benchmark")["value"]
    for row in results.results.to_dict("records"):
        assert abs(values[f"{row['task']}: {row['arm']}"] - row["value"]) < 1e-4
    assert tables["funnel.csv"].set_index("step").loc["images scored", "captions"] == len(results.scores)
    for name in ("clip_cosine", "ssim"):
        counts = tables[f"{name}.csv"]
        for column, rows in (("candidates", results.scores), ("selected", results.selected)):
            assert counts[column].sum() == len(rows)
            assert counts.loc[counts[name] <= 0.52, column].sum() == (rows[name] <= 0.52).sum()
