"""The memory of a conversation: its messages, what they tell, and views of both under a budget of tokens.

In reading order:

    units  messages  stretches       messages as the SDKs have them, in one form, cut where they are long
    align                            which messages of a list are known already
    slots  forms  spoken_times  extract   facts in sentences, without a language model
    blocks  parts  records           what a memory comes to hold, and how it is written down in the journal
    tables  log  facts  episodes     the tables that follow from the journal, written and read
    home  grown  rebuild             where a memory lives; its graph; all of it made again from the journal
    remember  notes                  what comes in: messages; facts and blocks by hand
    asked  recall  lookup  indexed   which stretches bear on a question
    search  page                     what is found, and the view
    transcript  flush                reading with a model what nobody has read yet
    erase  dream                     forgetting; consolidating in idle time
    settings  memory  tools          the facade, `open_memory` and `Memory`; the same for the agent itself
    results  adapter                 any agent's message list kept under a budget by a memory
    conversations                    conversations in files
    checkout  pages  contents  edits  mirror   a memory as Markdown files under git, edited by hand and read back
"""
