"""Decides, for each user and moment, which items to show and which promotion to give."""
