"""What several verbs share: where the stack is, what its topics say, files, moments, output, patience and failures."""
