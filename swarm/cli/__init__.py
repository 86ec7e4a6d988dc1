"""The command line: `options` says what it takes, `main` what a word does, `session` runs it, and `progress` and
`show` are what a person sees meanwhile and at the end. `estimate` says what a run would come to, `asking` asks,
`again` names the command that goes on, and `runs` looks at what a store holds. `document` is the JSON for a
program, `plain` makes text from strangers safe for a terminal. Nothing imports this folder.
"""
