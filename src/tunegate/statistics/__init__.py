"""Bootstrap, intervals, effect sizes, paired comparisons, power laws: numpy in, numbers out."""
