"""The fault matrix: `make faults`. One entry a fault, in the file of what it strikes."""
