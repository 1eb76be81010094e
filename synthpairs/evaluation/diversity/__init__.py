"""Semantic diversity of caption sets: how evenly each spreads over clusters of the captions of all sets."""
