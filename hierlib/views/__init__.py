"""What people see: ladders of cuts, widgets, figures, the report, and the run that makes them all.

Nothing here knows more of a codec than ``hierlib.codec.protocol`` says.
"""
