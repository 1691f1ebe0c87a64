"""One module per format of document: from its content to blocks of text with their places."""
