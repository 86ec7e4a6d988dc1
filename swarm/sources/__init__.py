"""Sources: from paths to a searchable library, and from a library to packed slices.

In reading order: `walk` finds the inputs, `media` says how each is read, `decode` makes text of bytes, the
readers (`prose`, `records`, `json`, `code`, `html`, `pdf`, `docx`) cut it into units, `passages` merges and
splits those into passages, `gather` does all of this into a store, and `slicing` packs passages for a window.
"""
