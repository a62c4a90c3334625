"""Git and DVC: lineage, commits, the run cache."""
