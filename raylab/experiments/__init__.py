"""Rooms by experiment. In each: config <- plan <- measure <- verdict <- report, and what it says to the scoreboard."""
