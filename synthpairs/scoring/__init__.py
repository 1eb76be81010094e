"""Scores of all candidate images: CLIP cosine with the caption, and SSIM with their own downscaled copy."""
