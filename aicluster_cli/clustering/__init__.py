"""The engine, shipped inside every registered model: nothing here may import another room of the project."""
