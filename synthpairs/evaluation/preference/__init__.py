"""Preference between the generated and the real image of a caption, by vision-language models and by people."""
