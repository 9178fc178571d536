"""The story on recorded files: few or no labels, and conditions nobody chose for the model."""
