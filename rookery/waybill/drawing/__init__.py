"""How a label comes onto paper: bar codes, fonts, the page, the bitmap."""
