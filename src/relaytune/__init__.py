"""relaytune: fine-tune a language model on one narrow task, and learn honestly whether to keep it."""
