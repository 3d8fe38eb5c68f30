"""The procedural street world: from a seed to images, exact depth, LiDAR and poses. Entrance: `drive.render_drive`."""
