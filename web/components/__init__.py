"""What the pages show: HTML, analyses of uploads, and files to download."""
