"""Old months of events put away as Parquet, and back."""
