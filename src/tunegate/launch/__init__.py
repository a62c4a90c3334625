"""Training jobs for a cluster: Slurm and Kubernetes. Runs in no stage."""
