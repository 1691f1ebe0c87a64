"""What can be read off an English sentence without a model: words, sentences, values, names, polarity."""
