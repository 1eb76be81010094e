"""Reasons for which captions are rejected, as tables and metrics store them, with the words that gallery and report show."""

REASONS = {
    "unreadable": "row cannot be read",
    "reply": "reply is no caption",
    # Text filters.
    "unusable": "not usable as text",
    "alnum": "few letters and digits",
    "special": "odd share of symbols",
    "char_repetition": "repeats characters",
    "word_repetition": "repeats words",
    "flagged": "flagged words",
    "words": "wrong number of words",
    "perplexity": "high perplexity",
    "exact_duplicate": "exact duplicate",
    "near_duplicate": "near duplicate",
    # Models.
    "judge": "the judge says no",
    "judge_failed": "judge gave no answer",
    "judge_unclear": "judge was unclear",
    "blip": "BLIP image-text match",
    "alignment": "low CLIP cosine",
    # Replies about a class.
    "empty": "empty reply",
    "chatter": "speaks to the reader",
    "prompt": "repeats the prompt",
    "cut": "cut off",
    "language": "not English",
    "length": "too short or too long",
    "unmentioned": "does not name its class",
    "duplicate": "same as another",
    "balance": "its concept is frequent",
}
