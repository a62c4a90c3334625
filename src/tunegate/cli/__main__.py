"""`python -m tunegate.cli`: the same as the `tunegate` command."""

from tunegate.cli import main

main()
