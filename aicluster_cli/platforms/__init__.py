"""Where models are registered and runs are executed: one small interface, one folder a platform."""
