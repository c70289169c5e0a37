"""The words every room shares: frozen nouns and column schemas, pure. See README.md."""
