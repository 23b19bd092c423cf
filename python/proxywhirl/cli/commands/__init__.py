"""The commands: one module each with its arguments, its examples and the function that runs it."""
