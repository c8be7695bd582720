"""Players who climb through the learning of others."""
