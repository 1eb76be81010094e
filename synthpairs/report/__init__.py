"""What the pipeline made and what it is worth, as one Markdown page with pictures that any code host renders."""
