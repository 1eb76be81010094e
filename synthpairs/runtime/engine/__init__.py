"""How work is run: in this process, in several, or on a Ray cluster. Nothing here changes what is made."""
