"""Print runs for people without mail and wallet: selecting, making one PDF in the background, keeping the list."""
