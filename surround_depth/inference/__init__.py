"""From a frame to depth: the pipeline, the engines, and how long they take."""
