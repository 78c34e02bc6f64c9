"""What several verbs share.

Where the stack is, what its topics say, files, moments, output, patience and failures.
"""
