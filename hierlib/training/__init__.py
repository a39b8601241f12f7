"""Recipe -> checkpoint."""
