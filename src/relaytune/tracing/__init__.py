"""From a wrong answer to the training rows that taught it, and whether the data or the method is to blame."""
