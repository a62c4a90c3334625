"""How much memory a stage may use, on which machines it works, and what an earlier run has done already."""
