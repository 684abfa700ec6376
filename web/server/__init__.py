"""The server: settings, requests, visitors, and the threads that they share."""
