"""Language models: unpacking, generation, likelihood, and a client of OpenAI-compatible servers."""
