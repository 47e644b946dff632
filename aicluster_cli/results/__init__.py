"""Reading a run's parts, joining them back to the source, summing them up and writing them out."""
