"""`python -m batchjob` is the `batchjob` command."""

from batchjob.cli.main import main

main()
