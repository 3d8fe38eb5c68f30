"""Writers of genuine nuScenes and DGP trees from rendered drives."""
