"""Drives as samples: readers of nuScenes, DDAD and synthetic trees, writers of both formats. The entry is `build`."""
