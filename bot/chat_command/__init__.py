"""`python -m bot chat`: the persona, the conversation, the model and the limits, in a terminal."""
