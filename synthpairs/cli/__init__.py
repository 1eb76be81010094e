"""Commands beside the pipeline: doctor, presets, preview, estimate, clean."""
