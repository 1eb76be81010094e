"""How much work params.yaml asks for, stage by stage, and what had to be assumed to say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthpairs.arms import Arm, CodeArm
from synthpairs.images.params import Images
from synthpairs.planning.curation import caption_loads, count_captions
from synthpairs.planning.load import Load
from synthpairs.planning.models import (
    adapter_notes,
    conversations,
    own_items,
    question_loads,
    suite_items,
    training_loads,
)
from synthpairs.planning.params import Document, model_parameters
from synthpairs.planning.pictures import audit_loads, count_pictures, grid_loads, picture_loads
from synthpairs.selection.params import Select

DESK_SIDE = 128  # pixels; a plan for larger pictures is one for a GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the stages have to do."""

    captions: int  # that curation keeps, or at most keeps
    told: str  # where that number is from
    candidates: int  # pictures that are painted in all steps
    steps: int  # of the sampler, for each
    side: int  # pixels of a picture
    arms: list[str]
    items: dict[str, int]  # of each benchmark whose size is known
    llm_parameters: float | None  # of the VLM's language model; None: not known
    loads: Sequence[Load]
    notes: Sequence[str]  # what had to be assumed


def read_work(path: Path, captions: int | None, data: Path) -> Work:
    """The work that params.yaml asks for; `captions` is how many are expected to be kept, None: as `data` or the sources say.

    ValueError names the key that is missing or makes no sense.
    """
    params = Document(path)
    come = count_captions(params, captions, data)
    pictures, notes = count_pictures(params, come, data)
    pairs = min(params.get("select", Select).k, pictures.painted)
    arms, code_arms = params.get("arms", list[Arm]), params.get("code_arms", list[CodeArm])
    looked_at = pictures.painted + (min(pairs, come.originals) if "real" in arms else 0)
    talks, assumed = conversations(params)
    llm = model_parameters(params, params.get("vlm.llm", str))
    questions, unknown = question_loads(params, len(arms), len(code_arms), llm)
    return Work(
        captions=come.kept,
        told=come.told,
        candidates=pictures.painted,
        steps=params.get("images", Images).steps,
        side=pictures.side,
        arms=arms,
        items=own_items(params) | suite_items(params),
        llm_parameters=llm,
        loads=[
            *caption_loads(params, come),
            *picture_loads(params, pictures),
            *audit_loads(params, looked_at, pictures.side),
            *training_loads(params, pairs, talks, len(arms), llm),
            *questions,
            *grid_loads(params, data),
        ],
        notes=[*notes, *assumed, *adapter_notes(params), *unknown],
    )
