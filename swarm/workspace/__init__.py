"""Where sub-agents do things: files they may touch, commands that are confined, worktrees, and how work lands.

    beneath  files                     reading and writing inside one folder, and never outside of it
    sandbox                            a command in: what it printed, how it ended; which sandbox a workspace has
      bubblewrap  unconfined           the two there are
      view                             what of this machine a confined command sees
      running                          one process, held to its bounds, and ended with all that it started
      census  printed                  the processes of a command counted; the head and the tail of what it printed
    git  holds                         git as a process, and locks
    remote  repository                 where the branch of a workspace is, which may be on another machine
      clones  turns  shared  opening   a clone for each process, who lands next, and one or the other found
    snapshots  leftovers  worktree     a worktree, its work as a commit, and what a crash left of it
    carried  worktrees  forget         one for each slice, gone on with here or on another machine, or removed
    messages  line  suite  landing     the branch that checked work lands on, one commit for a slice

The folder knows no run, no model and no prompt: paths, commands and bounds come in, what came of them goes out.
"""
