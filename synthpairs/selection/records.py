"""Pairs as LLaVA reads them: a list of {id, image, conversations}, for its stage of feature alignment."""

import pandas as pd

INSTRUCTIONS = (
    "What does this picture show? Answer in one sentence.",
    "Say briefly what can be seen here.",
    "Sum up the picture in a few words.",
    "Give a short caption for this image.",
    "In one line, what is in the image?",
    "Name what is shown, and how.",
    "Write down what you see, and keep it short.",
    "Tell me in brief what the picture is of.",
    "Caption this picture plainly.",
    "State the content of the image in short.",
)


def llava_record(key: str, text: str, extension: str) -> dict:
    """One pair as a conversation; which instruction, and on which side of it the image stands, follow from the key."""
    draw = int(key[:8], 16)
    instruction = INSTRUCTIONS[draw % len(INSTRUCTIONS)]
    before = draw // len(INSTRUCTIONS) % 2
    question = f"<image>\n{instruction}" if before else f"{instruction}\n<image>"
    return {
        "id": key,
        "image": f"{key}.{extension}",
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": text}],
    }


def llava_records(selected: pd.DataFrame, extension: str) -> list[dict]:
    """The selection, best first."""
    return [llava_record(key, text, extension) for key, text in zip(selected["key"], selected["text"], strict=True)]
