"""A kernel that is started before anything else and adopted once Jupyter's client is there.

From the first keystroke to the undo, half the time is a kernel that boots. So it boots while
this process still reads its own arguments: `early` starts it, `__main__` is what it runs with
`application`, `manager` lets Jupyter's client take it over, and `interrupts` passes a Ctrl-C on
to it.
"""
