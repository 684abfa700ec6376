"""Send the values of a live session to other programs and files, by default what the group shows."""
