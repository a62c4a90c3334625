"""Trainings on a cluster: what Slurm or Kubernetes is asked for. Runs in no stage."""
