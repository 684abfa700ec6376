"""The web app: live sessions, pictures, videos, the map and teaching in a browser."""
