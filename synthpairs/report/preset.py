"""Lines of the report page that name the presets of its params."""

from pathlib import Path
from typing import Any

from synthpairs.core.config import PARAMS, parse_mapping, read_mapping


def preset_lines(root: Path = Path()) -> list[str]:
    """A line for each preset whose values are all in params.yaml: its name, and the first line of the comment at its top."""
    params, lines = read_mapping(root / PARAMS), []
    for path in sorted((root / "presets").glob("*.yaml")):
        text = path.read_text()
        if _holds(parse_mapping(text.encode(), str(path)), params):
            comment = text.partition("\n")[0].lstrip("# ") if text.startswith("#") else ""
            lines.append(f"> **Made with the preset `{path.stem}`.** {comment}".rstrip())
    return lines


def _holds(preset: Any, params: Any) -> bool:
    if preset and isinstance(preset, dict) and isinstance(params, dict):
        return all(key in params and _holds(value, params[key]) for key, value in preset.items())
    return bool(preset == params)
