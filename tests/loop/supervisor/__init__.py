"""Start, watch and stop the loop's processes; check the machine before, clean up after."""
