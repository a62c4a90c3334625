"""Where rows come from: declared files and packages, their formats, and how a record becomes a row."""
