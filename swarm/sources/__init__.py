"""Sources: from paths to a searchable library, and from a library to packed slices.

In reading order: `walk` finds the inputs, and `inside` keeps them in their folder; `media` says how each is read,
`decode` makes text of bytes, the readers (`prose`, `records`, `json_values`, `code`, `html`, `pdf` in a process
`apart`, `docx` out of its `package`) cut it into units, `passages` merges and splits those into passages, `gather`
does all of this into a store, and `slicing` packs passages for a window.
"""
