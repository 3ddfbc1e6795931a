"""The fault matrix: `make faults`. One case per fault, in the module of the part that fails."""
