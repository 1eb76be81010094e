"""The main run's captions painted again with other noise: how far what is said of the pictures hangs on one painting."""
