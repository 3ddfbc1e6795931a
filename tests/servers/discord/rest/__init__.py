"""REST v10: one file a noun, and the middleware that every request passes."""
