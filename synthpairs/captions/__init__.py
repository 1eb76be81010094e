"""Caption curation: template captions, a language model's and those of files, filtered as in SynthVLM (stage 1 of the paper)."""
