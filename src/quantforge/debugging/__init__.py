"""Looking into compiled models, and finding the first tensor in which two stages of a model differ."""
