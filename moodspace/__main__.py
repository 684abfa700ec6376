"""`python -m moodspace` is the command `moodspace`."""

from moodspace.cli import main

if __name__ == "__main__":
    main()
