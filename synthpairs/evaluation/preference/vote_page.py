"""Vote page: a static HTML page that shows image pairs blind, one after another, and saves the votes as a file.

Images are named by hashes of their keys; order and sides are drawn from seed and voter. The page does not contain which
image is generated: that is looked up when the saved file is read.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from synthpairs.core.schema import digest
from synthpairs.core.storage import write_bytes
from synthpairs.core.untrusted_json import loads
from synthpairs.evaluation.preference.image_pairs import ImagePair
from synthpairs.evaluation.preference.votes import Vote

STATIC = ("vote.html", "vote.css", "vote.js")


def write_vote_page(image_pairs: Sequence[ImagePair], voter: str, seed: int, out: Path) -> Path:
    """Write vote.html with its style, script, data and images to `out`, for one voter; returns the page's path."""
    rows = []
    for pair in sorted(image_pairs, key=lambda pair: digest("order", seed, voter, pair.couple)):
        images = [(_image_id(pair.real_key), pair.real), (_image_id(pair.synthetic_key), pair.synthetic)]
        if int(digest("side", seed, voter, pair.couple), 16) % 2:
            images.reverse()
        for name, png in images:
            write_bytes(out / f"images/{name}.png", png)
        rows.append({"id": pair.couple, "caption": pair.text, "images": [name for name, _ in images]})
    write_bytes(out / "pairs.js", f"const PAGE = {json.dumps({'voter': voter, 'pairs': rows}, indent=1)};\n".encode())
    for file in STATIC:
        write_bytes(out / file, (Path(__file__).parent / file).read_bytes())
    return out / STATIC[0]


def read_saved_votes(file: Path, image_pairs: Sequence[ImagePair]) -> tuple[list[Vote], int]:
    """Votes in a file that the page saved, and the number left out because their pairs are no longer drawn.

    ValueError for a file in another format.
    """
    by_id = {pair.couple: pair for pair in image_pairs}
    try:
        saved = loads(file.read_bytes())
        voter, choices = str(saved["voter"]), {str(pair): str(image) for pair, image in saved["votes"].items()}
        voter.encode()  # UnicodeEncodeError for a lone surrogate, which no file of votes can hold
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not a file that the vote page saved ({error!r})") from None
    votes = []
    for pair_id, image in choices.items():
        if pair := by_id.get(pair_id):
            choice = {_image_id(pair.synthetic_key): "synthetic", _image_id(pair.real_key): "real", "tie": "tie"}
            if image not in choice:
                raise ValueError(f"{file}: the vote on {pair_id} must be one of {', '.join(choice)}; got {image!r}")
            votes.append(Vote(couple=pair_id, voter=voter, choice=choice[image]))  # type: ignore[arg-type]
    return votes, len(choices) - len(votes)


def _image_id(key: str) -> str:
    return digest("vote image", key)
