"""Leader election through a Lease, and the state handed to the next leader."""
