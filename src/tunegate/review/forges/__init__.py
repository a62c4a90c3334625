"""Where a change is proposed, discussed and merged: GitHub, GitLab, or git alone."""
