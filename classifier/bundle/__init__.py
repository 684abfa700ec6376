"""The bundle, the folder with everything that a prediction needs, and how training makes one."""
