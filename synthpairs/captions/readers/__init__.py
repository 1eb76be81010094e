"""Captions from files of any of the formats that caption data comes in, row by row; no row is lost."""
