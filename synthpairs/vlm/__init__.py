"""The vision-language model that a training set is judged by: LLaVA's architecture and trainings, from pixels or VQ tokens."""
