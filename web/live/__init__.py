"""The live session: a WebSocket, its messages, and the component that shows it."""
