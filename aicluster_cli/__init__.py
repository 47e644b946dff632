"""aicluster: from a table of text or embeddings to clusters that people can trust.

This file is shipped inside every registered model, so it stays nearly empty and imports nothing.
"""
