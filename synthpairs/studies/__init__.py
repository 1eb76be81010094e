"""Studies: several ways to come by a training set, each trained for several seeds and asked the same questions."""
