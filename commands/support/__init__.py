"""What several verbs share.

Where the stack is, what its topics say, files, output, patience and failures.
"""
