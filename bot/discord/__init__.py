"""Discord's events in, its REST API out: only here are its library's objects touched."""
