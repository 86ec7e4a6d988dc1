"""Where sub-agents do things: files they may touch, commands that are confined, worktrees, and how work lands.

    beneath  files                     reading and writing inside one folder, and never outside of it
    sandbox                            a command in: what it printed, how it ended; which sandbox a workspace has
      bubblewrap  unconfined           the two there are
      view                             what of this machine a confined command sees
      running                          one process, held to its bounds, and ended with all that it started
      census  printed                  the processes of a command counted; the head and the tail of what it printed
    git  holds  repository             git as a process, locks, and the repository of a workspace
    snapshots  leftovers  worktrees    a worktree for each slice, taken up again or swept after a crash
    messages  line  suite  landing     the branch that checked work lands on, one commit for a slice

The folder knows no run, no model and no prompt: paths, commands and bounds come in, what came of them goes out.
"""
