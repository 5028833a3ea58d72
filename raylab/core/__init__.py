"""Mathematics: tensors and arrays in, tensors and arrays out; no files, clocks or global random state."""
