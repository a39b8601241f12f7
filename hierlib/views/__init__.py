"""What people see: ladders of cuts, widgets, figures, the report, and the run that makes them all.

Nothing here needs more of a codec than ``hierlib.codec.protocol`` says; what a receiver tells is shown where one is.
"""
