"""What a file is and what its pages say; runs only in a child process."""
