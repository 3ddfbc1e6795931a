"""What can be set, read with every mistake told at once; it touches no other room's values."""
