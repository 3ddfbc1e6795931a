"""What people ask by commands, menus and buttons, and what they are shown; plain values only."""
