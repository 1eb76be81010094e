"""What the pairs can say about people, told from where captions and pictures come from; no picture was checked for it."""

from collections.abc import Mapping
from typing import Any

OURS = "models/desk/"  # the models that desk_models/ trained on drawings alone
_SOURCES = {
    "human": "reference captions: templates over emoji names, or from files that `captions.sources` calls `human`",
    "model": "written by the language model about the concepts of params.yaml",
    "invented": "written by a language model about class names",
}


def privacy(generator: Mapping[str, Any], sources: Mapping[str, int]) -> str:
    """Paragraphs of Markdown. `generator`: generator.json of the pictures; `sources`: the pairs' captions by source."""
    model = str(generator["inputs"]["model"])
    told = [
        f"{count:,} from `{source}` ({_SOURCES.get(source, 'a file that `captions.sources` names')})"
        for source, count in sorted(sources.items())
    ]
    strangers = sorted(set(sources) - set(_SOURCES))
    parts = [f"*Captions.* {'; '.join(told)}."]
    if strangers:
        parts.append(
            "Captions from files are as their authors wrote them. The filters of `captions` look for flagged words and broken "
            "text, not for names, addresses or numbers of people."
        )
    if model.startswith(OURS):
        parts.append(
            f"*Pictures.* Painted by `{model}`, which was trained from random weights on "
            "renderings of the pinned emoji packages and on nothing else: no photograph and no picture of a real person was in "
            "its training, so it has none to give back. It can repeat the artwork, under the artwork's licences. The language "
            "model learnt from the web's text, and the referee's ImageNet features from photographs; neither paints."
        )
    else:
        parts.append(
            f"*Pictures.* Painted by `{model}`, which learnt from what its publisher says. Photographs of real people are as a "
            "rule among that, and diffusion models are known to give single training pictures back (arXiv 2301.13188). Nothing "
            "here looks for faces, and no picture was compared with the generator's training data."
        )
    parts.append(
        "*Real pictures.* The originals of captions are compared with the captions and train the arm `real`; no synthetic "
        "picture is made from one."
    )
    return "\n\n".join(parts)
