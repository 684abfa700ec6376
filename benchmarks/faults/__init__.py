"""What happens to Moodspace when things go wrong: kills, damaged input, full disks, lost cameras, hostile clients."""
