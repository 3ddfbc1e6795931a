"""REST v10: one file per resource, and the middleware that every request passes."""
