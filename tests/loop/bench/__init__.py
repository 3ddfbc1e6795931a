"""`make bench`: measure the promises on the one-machine loop and print a table."""
