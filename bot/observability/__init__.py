"""What can be seen of the bot from outside: tasks that fail are logged and counted."""
