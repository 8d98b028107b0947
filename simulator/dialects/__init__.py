"""One folder per broker protocol; each understands its protocol on its own."""
