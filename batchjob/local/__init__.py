"""The whole pipeline on one machine: the stations as subprocesses, under the variables that AWS Batch sets."""
