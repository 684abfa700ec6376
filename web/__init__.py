"""The web app: the live session, pictures, videos, the map and teaching, in a browser."""
