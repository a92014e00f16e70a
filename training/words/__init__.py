"""Which English words lead to what pocket-1 can draw: WordNet, the links made by hand, the lexicon that follows."""
