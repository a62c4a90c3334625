"""Policy, statistics, verdict."""
