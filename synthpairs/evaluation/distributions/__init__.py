"""Distributions of measures of synthetic and real pairs, and what ranking by CLIPScore and SSIM prefers."""
