"""Commands outside the pipeline: doctor, presets, preview, estimate, clean."""
