"""Image <-> bytes: one stream a picture, any prefix of which decodes. FORMAT: see container.py and coders.py."""
