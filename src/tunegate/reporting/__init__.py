"""What people look at: the report and its plots."""
