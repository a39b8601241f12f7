"""Pictures: files at the border, labelled packs, photographs that travel with the project, the procedural set."""
