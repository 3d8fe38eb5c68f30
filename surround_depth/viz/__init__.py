"""Pictures, videos and files of what the system sees. Each heavy viewer has one module that owns it."""
