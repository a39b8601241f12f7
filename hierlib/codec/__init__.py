"""Image <-> bytes: one stream a picture, any prefix of which decodes. FORMAT.md says what a stream holds."""
