"""Readers of caption files in common formats, row by row; unreadable rows become rejected captions."""
