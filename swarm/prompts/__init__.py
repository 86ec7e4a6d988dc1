"""Typed prompts: what a model is asked, and the shape of what it answers.

`typed` holds the prompts as data, `replies` the schemas of the answers (pydantic: this is where a model's bytes
come in), `render` turns a prompt into the text for a language model, from the `.md` files beside it, stable
parts first.
"""
