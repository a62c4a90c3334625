"""Many runs of the pipeline with other parameters or fewer rows: search, learning curve, comparison."""
