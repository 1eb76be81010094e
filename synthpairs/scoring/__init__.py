"""Scores of all candidate pictures: CLIP cosine with the caption, and SSIM with their downscaled version."""
