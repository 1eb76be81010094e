"""Raw scores of every candidate picture: how well it fits its caption, and how much of it survives a small size."""
