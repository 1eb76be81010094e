"""Workers in other processes, on this machine or on a Ray cluster. Results do not depend on where work is done."""
