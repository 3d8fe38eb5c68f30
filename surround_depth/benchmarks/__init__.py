"""What is measured against what others use, and the rivals themselves. Nothing of the package imports this part."""
