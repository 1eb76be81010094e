"""The best pairs of all candidates, the arms they are compared with, and the data set that is handed on."""
