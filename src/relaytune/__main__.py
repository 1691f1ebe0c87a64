"""`python -m relaytune` is the command line."""

from relaytune.cli import main

main()
