"""The vision-language model that a training set is judged by: LLaVA's architecture and its two trainings."""
