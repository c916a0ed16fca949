"""Parsers of messy words: numbers, dates, truth values; each looks at different words once."""
