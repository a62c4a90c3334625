"""What must hold of the rows: suites of expectations, how they are run, and what follows."""
