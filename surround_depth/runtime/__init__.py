"""Playback and the vehicle runtime. Never imports torch."""
