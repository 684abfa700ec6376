"""What broken input and broken machines do."""
