"""Text from page images, behind one Protocol; runs only in a child process."""
